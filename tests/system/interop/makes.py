"""How the programs of the two makes are started: nodes with their engines, and validator clients."""

import json
import os
import subprocess
import urllib.request

from beacon import Beacon
from processes import Failed, free_port, until

# Where fees go on a chain without fees: any address that is not zero.
FEE_RECIPIENT = "0x8943545177806ED17B9F23F0a21ee5948eCaa776"
# Seconds until a program that was started answers.
START = 180


class Place:
    """What all programs of a run share."""

    def __init__(self, wren, lighthouse, folder, crew, blobs):
        self.wren = wren
        self.lighthouse = lighthouse
        self.folder = folder
        self.crew = crew
        self.blobs = blobs
        self.network = os.path.join(folder, "network")

    def part(self, name):
        return os.path.join(self.folder, name)

    def run_wren(self, *arguments):
        """A command of ours to its end; what it printed."""
        command = [self.wren, *[str(argument) for argument in arguments]]
        print("$ wren " + " ".join(command[1:]), flush=True)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"wren {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout


class Node:
    """A beacon node that listens on loopback, with an engine of its own."""

    def __init__(self, place, name):
        self.place, self.name = place, name
        self.tcp, self.quic, self.udp = free_port(), free_port(), free_port()
        self.http, self.engine, self.metrics = free_port(), free_port(), free_port()
        self.jwt = place.part(f"{name}.jwt")
        self.beacon = Beacon(name, self.http)
        self.process = self.peer = None

    def start(self, transport, dial=None, supernode=False):
        """Starts engine and node, and waits until it says who it is."""
        engine = [self.place.wren, "engine", "--network", self.place.network, "--port", self.engine]
        # An engine that knew the blobs of others would spare the network their columns.
        engine += ["--jwt", self.jwt, "--blobs", self.place.blobs, "--hide-blobs"]
        self.place.crew.start(self.name + "-engine", engine)
        until(f"the secret of {self.name}'s engine", lambda: os.path.exists(self.jwt), self.place.crew, START)
        arguments = self.arguments(transport, dial, supernode)
        self.process = self.place.crew.start(self.name, arguments)
        asked = lambda: self.beacon.maybe("/eth/v1/node/identity")
        self.peer = until(f"{self.name} answers", asked, self.place.crew, START)["peer_id"]

    def address(self, transport):
        """Where others find it."""
        way = f"tcp/{self.tcp}" if transport == "tcp" else f"udp/{self.quic}/quic-v1"
        return f"/ip4/127.0.0.1/{way}/p2p/{self.peer}"

    def counters(self):
        """What it counts for Prometheus: the values by name, with the labels if it has any."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=START) as answer:
                lines = answer.read().decode().splitlines()
        except OSError as error:
            raise Failed(f"{self.name} tells no metrics: {error}") from error
        parts = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        return {name: float(value) for name, value in parts}

    def version(self):
        return self.beacon.get("/eth/v1/node/version")["version"]


class WrenNode(Node):
    make = "Wren"

    def arguments(self, _transport, dial, supernode):
        words = [self.place.wren, "node", "--network", self.place.network, "--datadir", self.place.part(self.name)]
        words += ["--execution-endpoint", f"http://127.0.0.1:{self.engine}", "--execution-jwt", self.jwt]
        words += ["--http-port", self.http, "--metrics-port", self.metrics, "--no-discovery", "--allow-private"]
        words += ["--listen-address", "127.0.0.1", "--port", self.tcp, "--quic-port", self.quic]
        words += ["--supernode"] if supernode else []
        return words + (["--static-peer", dial] if dial else [])


class LighthouseNode(Node):
    make = "Lighthouse"

    def arguments(self, transport, dial, supernode):
        words = [self.place.lighthouse, "bn", "--testnet-dir", self.place.network]
        words += ["--datadir", self.place.part(self.name), "--logfile-max-number", 0]
        words += ["--execution-endpoint", f"http://127.0.0.1:{self.engine}", "--execution-jwt", self.jwt]
        words += ["--http", "--http-port", self.http, "--allow-insecure-genesis-sync"]
        words += ["--listen-address", "127.0.0.1", "--port", self.tcp, "--discovery-port", self.udp]
        words += ["--metrics", "--metrics-port", self.metrics]
        words += ["--quic-port", self.quic, "--disable-discovery", "--enable-private-discovery"]
        words += ["--disable-packet-filter", "--disable-upnp", "--disable-enr-auto-update"]
        # Else it leaves old payloads to its engine's own network, which the built-in one does not have.
        words += ["--disable-optimistic-finalized-sync"]
        # A local chain lets validators go after a few epochs, by which it counts how old a genesis may be.
        words += ["--ignore-ws-check"]
        words += ["--enr-address", "127.0.0.1", "--enr-tcp-port", self.tcp, "--enr-udp-port", self.udp]
        words += ["--disable-quic"] if transport == "tcp" else []
        words += ["--supernode"] if supernode else []
        return words + (["--libp2p-addresses", dial] if dial else [])


def wren_client(place, name, keys, node):
    """Starts our validator client with the keys of a slice."""
    datadir = place.part(name)
    of_network = ["--network", place.network, "--datadir", datadir]
    place.run_wren("keys", "import", keys, "--new-keys", "--password-file", keys + "/password.txt", *of_network)
    words = [place.wren, "validator", *of_network, "--beacon-nodes", node.beacon.url, "--keymanager-port", 0]
    return place.crew.start(name, [*words, "--metrics-port", 0, "--suggested-fee-recipient", FEE_RECIPIENT])


def lighthouse_client(place, name, keys, node):
    """Starts the other validator client with the keys of a slice, told to it in the file that it looks for."""
    validators = os.path.join(place.part(name), "validators")
    os.makedirs(validators)
    definitions = []
    for file in sorted(os.listdir(keys)):
        if not file.startswith("keystore"):
            continue
        path = os.path.join(keys, file)
        with open(path, encoding="utf-8") as keystore:
            pubkey = "0x" + json.load(keystore)["pubkey"].removeprefix("0x")
        definition = {"enabled": True, "voting_public_key": pubkey, "type": "local_keystore"}
        definition["voting_keystore_path"] = path
        definition["voting_keystore_password_path"] = os.path.join(keys, "password.txt")
        definitions.append(definition)
    # JSON is YAML too.
    with open(os.path.join(validators, "validator_definitions.yml"), "w", encoding="utf-8") as file:
        json.dump(definitions, file)
    words = [place.lighthouse, "vc", "--testnet-dir", place.network, "--datadir", place.part(name)]
    words += ["--logfile-max-number", 0, "--beacon-nodes", node.beacon.url, "--init-slashing-protection"]
    return place.crew.start(name, [*words, "--suggested-fee-recipient", FEE_RECIPIENT])
