"""Nodes and validator clients on hosts."""

import os
import subprocess

from beacon import Beacon
from processes import Failed, until
from record import Record

# Where fees go on a chain without fees: any address that is not zero.
FEE_RECIPIENT = "0x8943545177806ED17B9F23F0a21ee5948eCaa776"
# Seconds until a node that was started answers.
START = 120
TCP, QUIC, HTTP, METRICS = 9000, 9001, 5052, 8008


class Place:
    """What all programs of a run share."""

    def __init__(self, wren, folder, crew, log_level):
        self.wren, self.folder, self.crew, self.log_level = wren, folder, crew, log_level
        self.network = os.path.join(folder, "network")

    def part(self, name):
        return os.path.join(self.folder, name)

    def run_wren(self, *arguments):
        """A command of ours to its end; what it printed."""
        command = [self.wren, *[str(argument) for argument in arguments]]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"wren {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout


class Node:
    """A beacon node on a host, with its own engine inside. `bound` is the one address of its host that it uses, if it is
    not to use all."""

    def __init__(self, place, host, name, bound=None, options=()):
        self.place, self.host, self.name, self.bound, self.options = place, host, name, bound, options
        self.beacon = Beacon(name, HTTP)
        self.beacon.open = host.opener()
        if bound:
            self.beacon.url = f"http://{bound}:{HTTP}"
        self.process = self.peer = None
        # The most bytes that it was ever seen to hold.
        self.memory = 0

    def start(self, boot=None):
        words = [self.place.wren, "node", "--network", self.place.network, "--datadir", self.place.part(self.name)]
        words += ["--dev-engine", "--allow-private", "--port", TCP, "--quic-port", QUIC]
        words += ["--http-port", HTTP, "--metrics-port", METRICS, "--log-level", self.place.log_level]
        for option in ("--listen-address", "--http-address", "--metrics-address"):
            words += [option, self.bound] if self.bound else []
        words += ["--bootnodes", boot] if boot else []
        words = self.host.inside(*words, *self.options)
        self.process = self.place.crew.start(self.name, words)
        self.peer = self.wait_for_answer()["peer_id"]

    def start_again(self):
        self.process.start()
        self.wait_for_answer()

    def wait_for_answer(self):
        asked = lambda: self.beacon.maybe("/eth/v1/node/identity")
        return until(f"{self.name} answers", asked, self.place.crew, START)

    def kill(self):
        """At once, as by a power cut."""
        self.look()
        child, self.process.child = self.process.child, None
        child.kill()
        child.wait()

    @property
    def lives(self):
        return self.process is not None and self.process.child is not None

    def client(self, keys):
        """Starts a validator client beside it, with the keys of a slice."""
        name = self.name + "-client"
        of_network = ["--network", self.place.network, "--datadir", self.place.part(name)]
        self.place.run_wren("keys", "import", keys, "--new-keys", "--password-file", keys + "/password.txt", *of_network)
        words = [self.place.wren, "validator", *of_network, "--beacon-nodes", self.beacon.url, "--keymanager-port", 0]
        words += ["--metrics-port", 0, "--suggested-fee-recipient", FEE_RECIPIENT]
        return self.place.crew.start(name, self.host.inside(*words))

    def record(self):
        """Its record, as it tells it."""
        return Record(self.beacon.get("/eth/v1/node/identity")["enr"])

    def enr(self):
        return self.beacon.get("/eth/v1/node/identity")["enr"]

    def peers(self):
        """Those that are connected, by their ids; none if it does not answer."""
        found = self.beacon.maybe("/eth/v1/node/peers?state=connected")
        return {peer["peer_id"]: peer for peer in found or []}

    def counters(self):
        """What it counts for Prometheus, by name and labels."""
        url = f"http://{self.bound or '127.0.0.1'}:{METRICS}/metrics"
        try:
            with self.host.opener()(url, timeout=START) as answer:
                lines = answer.read().decode().splitlines()
        except OSError as error:
            raise Failed(f"{self.name} tells no metrics: {error}") from error
        parts = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        return {name: float(value) for name, value in parts}

    def look(self):
        """Keeps how much memory it has held; the kernel remembers the most since its start."""
        if not self.lives:
            return
        try:
            with open(f"/proc/{self.process.child.pid}/status", encoding="utf-8") as status:
                held = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:")]
        except OSError:
            return
        self.memory = max([self.memory, *held])
