"""What is asked of a beacon node of either make, by the standard Beacon API."""

import http.client
import json
import urllib.error
import urllib.request

from processes import Failed

# Seconds for an answer. Both cores may be busy with proofs of blobs.
WITHIN = 15


class Refused(Failed):
    """A node did not answer as it should; the status is None where it did not answer at all."""

    def __init__(self, why, status=None):
        super().__init__(why)
        self.status = status


class Beacon:
    """A beacon node's API. What is asked in vain raises Refused."""

    def __init__(self, name, port):
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.open = urllib.request.urlopen

    def _ask(self, path, body=None):
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=body, headers=headers)
        try:
            with self.open(request, timeout=WITHIN) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            said = error.read(500).decode(errors="replace")
            raise Refused(f"{self.name} answers {path} with {error.code}: {said}", error.code) from error
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise Refused(f"{self.name} does not answer {path}: {error!r}") from error

    def get(self, path):
        return self._ask(path)

    def post(self, path, body):
        return self._ask(path, body)

    def maybe(self, path):
        """None where the node does not know it, or does not answer."""
        try:
            return self.get(path)
        except Refused:
            return None

    def head(self):
        """Slot and root of the head; None where it does not answer."""
        header = self.maybe("/eth/v1/beacon/headers/head")
        return header and (int(header["header"]["message"]["slot"]), header["root"])

    def finalized(self):
        """Epoch and root that are final; None where it does not answer."""
        checkpoints = self.maybe("/eth/v1/beacon/states/head/finality_checkpoints")
        return checkpoints and (int(checkpoints["finalized"]["epoch"]), checkpoints["finalized"]["root"])

    def synced(self):
        status = self.maybe("/eth/v1/node/syncing")
        return status is not None and not status["is_syncing"] and not status["is_optimistic"]

    def address_of(self, peer):
        """The address by which a peer is connected; None where it is not."""
        found = self.maybe(f"/eth/v1/node/peers/{peer}")
        return found["last_seen_p2p_address"] if found and found["state"] == "connected" else None

    def root(self, slot):
        """The root of the block in a slot; None where there is none."""
        try:
            return self.get(f"/eth/v1/beacon/blocks/{slot}/root")["root"]
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def block(self, slot):
        return self.get(f"/eth/v2/beacon/blocks/{slot}")["message"]

    def columns(self, slot):
        """The indices of the data columns that the node has of a slot's block."""
        found = self.maybe(f"/eth/v1/debug/beacon/data_column_sidecars/{slot}")
        return sorted(int(sidecar["index"]) for sidecar in found or [])

    def right_targets(self, epoch):
        """The validators whose vote for the target of an epoch was right and in time."""
        rewards = self.post(f"/eth/v1/beacon/rewards/attestations/{epoch}", [])["total_rewards"]
        return {int(one["validator_index"]) for one in rewards if int(one["target"]) > 0}
