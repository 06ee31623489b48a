"""Runs schemathesis against a local chain; see scripts/schemathesis."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

# Operations that are not asked, with the reason.
OF_GLOAS = "of Gloas, whose chains this version does not run"
LEFT_OUT = {
    "getStateBuilders": OF_GLOAS,
    "publishExecutionPayloadBid": OF_GLOAS,
    "publishExecutionPayloadEnvelope": OF_GLOAS,
    "getSignedExecutionPayloadEnvelope": OF_GLOAS,
    "getPoolPayloadAttestations": OF_GLOAS,
    "submitPayloadAttestationMessages": OF_GLOAS,
    "getPtcDuties": OF_GLOAS,
    "produceBlockV4": OF_GLOAS,
    "producePayloadAttestationData": OF_GLOAS,
    "submitProposerPreferences": OF_GLOAS,
    "getExecutionPayloadBid": OF_GLOAS,
    "getExecutionPayloadEnvelope": OF_GLOAS,
    "eventstream": "its answer does not end; node/tests/api reads it",
    "submitBeaconCommitteeSelections": "answered with 501, as the specification allows who is no middleware",
    "submitSyncCommitteeSelections": "answered with 501, as the specification allows who is no middleware",
}

# Checks that are not made, with the reason.
CHECKS_LEFT_OUT = {
    "positive_data_acceptance": "what a state_id, a slot or an epoch may be is told in prose: to the schema it is any text",
}

# Where the specification is taken less strictly than it is written, with the reason.
RELAXED = [
    "uniqueItems of requests: what is asked for twice is answered once, which harms nobody",
    "maxItems of a query's id: more is refused with 414, as the specification says, which counts as no refusal here",
    "PeerConnectionState and PeerConnectionDirection of requests: one that does not exist is that of no peer, since the "
    "specification knows no error there",
    "ids and statuses in the body of postStateValidators may be null, as its description says and its schema does not",
    "Blob: shorter, since one of 131,072 bytes is more than can be made at random; so no block with blobs is good",
    "ClientCode: the list is of clients that were known when it was written; ours is WR",
]

# Fixed, so that a run can be repeated as far as the moving chain allows.
SEED = 20
# Random examples for an operation, besides the systematic ones.
EXAMPLES = 5
# Seconds for everything: it takes less than two minutes with two busy processors and a program that is not optimized.
TIME = 240


def relax(specification):
    """The specification with what RELAXED tells."""

    def loosen(schema):
        if isinstance(schema, dict):
            schema.pop("uniqueItems", None)
            for value in schema.values():
                loosen(value)
        elif isinstance(schema, list):
            for value in schema:
                loosen(value)

    schemas = specification["components"]["schemas"]
    schemas["ClientCode"]["enum"].append("WR")
    schemas["Blob"]["pattern"] = "^0x[a-fA-F0-9]{64}$"
    validators = specification["paths"]["/eth/v1/beacon/states/{state_id}/validators"]["post"]["requestBody"]
    for name in ("ids", "statuses"):
        lists = validators["content"]["application/json"]["schema"]["properties"]
        lists[name] = {"anyOf": [lists[name], {"type": "null"}]}
    for path, operations in specification["paths"].items():
        for method, operation in operations.items():
            if method not in ("get", "post"):
                continue
            loosen(operation.get("requestBody", {}))
            for parameter in operation.get("parameters", []):
                loosen(parameter)
                if parameter.get("name") == "id":
                    parameter["schema"].pop("maxItems", None)
                if path == "/eth/v1/node/peers":
                    parameter["schema"]["items"] = {"type": "string"}
    return specification


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]


def url_of(devnet):
    """Where the chain's node listens, as it says itself."""
    for line in devnet.stdout:
        found = re.search(r"Beacon API on (http://\S+)", line)
        if found:
            return found.group(1)
    sys.exit("the local chain did not start")


def wait_for_blocks(url, slot):
    """A chain with some blocks, so that there is something to ask for."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if int(get(url + "/eth/v1/node/syncing")["head_slot"]) >= slot:
            return
        time.sleep(0.5)
    sys.exit(f"the local chain has no block at slot {slot} after two minutes")


def ask(schemathesis, specification, url, folder):
    arguments = [schemathesis, "run", specification, "--url", url, "--phases", "examples,coverage,fuzzing"]
    arguments += ["--max-examples", str(EXAMPLES), "--seed", str(SEED), "--no-color"]
    arguments += ["--exclude-checks", ",".join(CHECKS_LEFT_OUT), "--suppress-health-check", "all"]
    arguments += ["--generation-database", "none", "--request-timeout", "20", "--warnings", "off"]
    for operation in LEFT_OUT:
        arguments += ["--exclude-operation-id", operation]
    try:
        return subprocess.run(arguments, cwd=folder, timeout=TIME, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"schemathesis was not done after {TIME} s")
        return 1


def main():
    wren, specification, schemathesis = sys.argv[1:]
    with open(specification, encoding="utf-8") as file:
        relaxed = relax(json.load(file))
    for name, why in {**LEFT_OUT, **CHECKS_LEFT_OUT}.items():
        print(f"left out: {name}: {why}")
    for what in RELAXED:
        print(f"relaxed: {what}")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "beacon.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(relaxed, file)
        arguments = [wren, "devnet", "--clients", "1", "--slot-time", "4", "--dir", os.path.join(folder, "chain")]
        devnet = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            url = url_of(devnet)
            # What it says from here on is not of interest, but must not fill its pipe.
            subprocess.Popen(["cat"], stdin=devnet.stdout, stdout=subprocess.DEVNULL)
            wait_for_blocks(url, 3)
            code = ask(schemathesis, path, url, folder)
            if devnet.poll() is not None:
                print("the local chain has ended")
                code = 1
        finally:
            devnet.send_signal(signal.SIGINT)
            devnet.wait(timeout=60)
    print(f"{int(code == 0)} passed, {int(code != 0)} failed, 0 skipped")
    sys.exit(code)


main()
