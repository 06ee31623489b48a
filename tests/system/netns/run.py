"""A chain of ten nodes on eight hosts, with all that happens to networks; see scripts/netns.

    east                                        west
    many    10.77.0.10, aliases .11 .12 .13     h2 … h5   10.77.0.32 … .35
            three nodes, one on each alias      h6        10.77.0.36, .46 and fd77::36
    far     10.77.0.21, on a tap
    h1      10.77.0.31

Each node has a tenth of the validators. Two thirds must vote together for an epoch to become final, so that neither side
of the cable between east and west makes one final alone, and that without three of the nodes hardly a vote may be late.
"""

import argparse
import os
import re
import signal
import sys
import tempfile
import threading
import time

# What the test with another client has, too: processes, the API, the tally.
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

from names import NameServer
from nodes import HTTP, QUIC, TCP, Node, Place
from processes import Crew, Failed, until
from report import Report
from watch import Clock
from world import NEEDS, World, inside

NODES = 10
VALIDATORS = 60
# Seconds from the making of genesis to genesis: keys are imported and twenty programs started, on a busy machine.
DELAY = 75
# Seconds that a frame takes each way on the far host's line, when it is a long one: about what a satellite's takes.
FAR = 0.25
# The share of packets that one host loses of what comes in.
LOSS = 0.05
# What a slow line carries, each way.
SLOW = "10mbit"
# Slots that the head of a node may be behind the clock on a busy machine.
BEHIND = 6
# Slots that an interface is down.
DOWN = 6
# Epochs that east and west are apart: longer than connections live whose peer is silent.
APART = 5
# Epochs within which something is final again. A vote for a target is in time for one epoch, and an epoch becomes final by
# the votes of the next: three at the least.
AGAIN = 8
# Seconds until peers have found each other anew: three pings, each of them in vain, 20 seconds apart; a minute's pause
# before the next call; a lookup.
FOUND_AGAIN = 240
# Bytes of memory that a node may hold at most, ever. What it holds in this run is a good deal less; what grows by the
# minute would not be.
MEMORY = 400 << 20
# Peers that a node has at least when all is well: of nine.
PEERS = 6
# The address that a host moves to.
MOVED = "10.77.0.74"
NAME_SERVER, NAME = "10.77.0.1", "first.wren.test"


class Run:
    """The world and its chain."""

    def __init__(self, report, place, world, slot_time):
        self.report, self.place, self.crew, self.world = report, place, place.crew, world
        self.slot_time = slot_time
        self.nodes = []

    # What is asked again and again.

    def lives(self):
        return [node for node in self.nodes if node.lives]

    def seconds(self, epochs):
        return epochs * self.clock.slots_per_epoch * self.slot_time

    def wait_slots(self, slots):
        end = self.clock.slot() + slots
        while self.clock.slot() < end:
            self.crew.check()
            time.sleep(0.5)

    def attempt(self, what, question, seconds):
        """Checks that something comes true in time; how long it took."""
        begun = time.monotonic()
        try:
            answer = until(what, question, self.crew, seconds)
        except Failed as failed:
            if "in vain" not in str(failed):
                raise
            self.report.check(what, False, f"not within {seconds:.0f} s; {self.state()}")
            return None
        self.report.check(what, True, f"{time.monotonic() - begun:.0f} s")
        return answer

    def state(self):
        """In a line, for what failed: each node's head, final epoch and peers."""
        told = []
        for node in self.nodes:
            head, final = node.beacon.head(), node.beacon.finalized()
            told.append(f"{node.name} {head and head[0]}/{final and final[0]}/{len(node.peers())}")
        return f"slot {self.clock.slot()}; head/final/peers: " + ", ".join(told)

    def finals(self, nodes=None):
        """What is final on each; nothing unless all tell it."""
        told = [node.beacon.finalized() for node in nodes or self.lives()]
        return [] if None in told else told

    def final_everywhere(self, what, epochs=AGAIN, nodes=None):
        """An epoch that begins from now on becomes final on all."""
        wanted = self.clock.epoch() + 1
        reached = lambda: (all_ := self.finals(nodes)) and min(all_)[0] >= wanted and all_
        finals = self.attempt(f"{what}: an epoch that begins now becomes final on all", reached, self.seconds(epochs))
        if finals:
            newest = [root for epoch, root in finals if epoch == max(finals)[0]]
            self.report.check("it is one chain that is final", len(set(newest)) == 1, f"epoch {max(finals)[0]}")

    def same_head(self, nodes, since=0):
        """Whether the heads of all are on one chain, of the last slots, and behind the slot `since`. They are asked one after
        the other, so that a block may come in between."""
        now = self.clock.slot()
        heads = [node.beacon.head() for node in nodes]
        if None in heads or min(heads)[0] <= max(since, now - BEHIND):
            return False
        slot, root = min(heads)
        of_slot = lambda node: (node.beacon.maybe(f"/eth/v1/beacon/blocks/{slot}/root") or {}).get("root")
        return all(head == (slot, root) or of_slot(node) == root for node, head in zip(nodes, heads))

    def all_have_peers(self, least=PEERS):
        return all(len(node.peers()) >= least for node in self.lives())

    # The parts of the run, in order.

    def begin(self):
        """Hosts, genesis, nodes, clients."""
        self.world.begin()
        many = self.world.wired("many", "east", ["10.77.0.10", "10.77.0.11", "10.77.0.12", "10.77.0.13"])
        far = self.world.tapped("far", "east", ["10.77.0.21"])
        hosts = [self.world.wired("h1", "east", ["10.77.0.31"])]
        hosts += [self.world.wired(f"h{number}", "west", [f"10.77.0.3{number}"]) for number in range(2, 6)]
        hosts.append(self.world.wired("h6", "west", ["10.77.0.36", "10.77.0.46", "fd77::36"]))
        self.world.address("east", NAME_SERVER)
        with inside(self.world.hub):
            self.names = NameServer(NAME_SERVER, NAME, "10.77.0.11")
        self.names.start()
        self.place.run_wren("genesis", "--output", self.place.network, "--validators", VALIDATORS, "--keys", NODES,
                            "--slot-time", self.slot_time, "--delay", DELAY)
        self.aliases = [Node(self.place, many, f"many-{alias}", f"10.77.0.1{alias}") for alias in (1, 2, 3)]
        self.far = Node(self.place, far, "far")
        listen = [word for address in ("10.77.0.36", "10.77.0.46", "fd77::36") for word in ("--listen-address", address)]
        self.wired = [Node(self.place, host, host.name, options=listen if host.name == "h6" else ()) for host in hosts]
        self.nodes = [*self.aliases, self.far, *self.wired]
        self.east, self.west = [*self.aliases, self.far, self.wired[0]], self.wired[1:]
        self.nodes[0].start()
        boot = self.nodes[0].enr()
        for node in self.nodes[1:]:
            node.start(boot)
        for slice_, node in enumerate(self.nodes):
            node.client(f"{self.place.network}/keys-{slice_}")
        genesis = self.nodes[0].beacon.get("/eth/v1/beacon/genesis")
        per_epoch = int(self.nodes[0].beacon.get("/eth/v1/config/spec")["SLOTS_PER_EPOCH"])
        self.clock = Clock(int(genesis["genesis_time"]), self.slot_time, per_epoch)
        threading.Thread(target=self.look, daemon=True).start()

    def look(self):
        """How much memory they hold, all the time: the kernel forgets it when a process ends."""
        while True:
            for node in self.nodes:
                node.look()
            time.sleep(2)

    def together(self):
        self.report.section("Ten nodes, of which each knows one at first")
        self.attempt(f"each has {PEERS} peers or more, found by discovery", self.all_have_peers,
                     FOUND_AGAIN + max(0, -self.clock.slot()) * self.slot_time)
        self.attempt("epoch 2 becomes final on all", lambda: (all_ := self.finals()) and min(all_)[0] >= 2,
                     self.seconds(7) + max(0, -self.clock.slot()) * self.slot_time)
        self.attempt("all have the same head", lambda: self.same_head(self.nodes), FOUND_AGAIN)
        # Who listens on all addresses learns its own from two others.
        learned = lambda: all(node.record().ip() == node.host.addresses[0] for node in [self.far, *self.wired[:5]])
        self.attempt("those who listen on all addresses tell the right one in their records", learned, FOUND_AGAIN)

    def addresses(self):
        self.report.section("Addresses and ports")
        first = self.aliases[0]
        labels = first.host.ip("-o", "-4", "addr", "show", "dev", "eth0")
        self.report.check("three addresses are aliases of one interface",
                          all(f"eth0:{alias}" in labels for alias in range(3)))
        records = [node.record() for node in self.aliases]
        told = [(record.ip(), record.port("tcp"), record.port("udp"), record.port("quic")) for record in records]
        self.report.check(f"three nodes of one host share the ports {TCP} and {QUIC}",
                          told == [(node.bound, TCP, TCP, QUIC) for node in self.aliases])
        h1 = self.wired[0].host
        self.report.check("each is reached at its own address", all(h1.reaches(node.bound, TCP) for node in self.aliases))
        free = first.host.addresses[0]
        self.report.check("and not at the host's own", not h1.reaches(free, TCP) and not first.host.reaches(free, TCP))
        inner = [node.beacon.get("/eth/v1/node/identity")["peer_id"] for node in self.aliases]
        self.report.check("the API at an address is that of its node", inner == [node.peer for node in self.aliases])
        elsewhere = [free, "127.0.0.1"]
        self.report.check("an API bound to one address is not reached on another",
                          not any(first.host.reaches(address, HTTP) for address in elsewhere) and not h1.reaches(free, HTTP)
                          and h1.reaches(first.bound, HTTP))
        last = self.wired[5].host
        self.report.check("an API that is bound to nothing in particular is on loopback alone",
                          last.reaches("127.0.0.1", HTTP) and not any(
                              host.reaches("10.77.0.36", HTTP) for host in (h1, last)))
        h1.ip("addr", "add", "fd77::31/64", "dev", "eth0", "nodad")
        self.report.check("a node that listens on three addresses, of both families, is reached at each",
                          all(h1.reaches(address, TCP) for address in ("10.77.0.36", "10.77.0.46", "fd77::36")))
        self.report.check("and nowhere else", not last.reaches("127.0.0.1", TCP))
        self.by_name()

    def by_name(self):
        """A node that only knows a name, and a server that knows where it is."""
        peer = self.nodes[0].peer
        options = ["--no-discovery", "--dns", NAME_SERVER, "--static-peer", f"/dns4/{NAME}/tcp/{TCP}/p2p/{peer}"]
        # The one address of that host where nobody listens.
        host = self.aliases[0].host
        node = Node(self.place, host, "named", host.addresses[0], options)
        node.start()
        self.attempt("a node finds a peer by its name, through the server of --dns", lambda: peer in node.peers(), 60)
        self.report.check("that server was asked", self.names.asked > 0, f"{self.names.asked} times")
        node.look()
        self.report.check("it stops when told to", node.process.stop())

    def bad_lines(self):
        self.report.section("Bad lines")
        lossy, slow = self.wired[1], self.wired[2]
        self.far.host.forwarder.delay = FAR
        lossy.host.lose(LOSS)
        slow.host.limit(SLOW)
        what = f"{FAR * 1000:.0f} ms each way to one, {LOSS:.0%} lost at another, {SLOW} to a third"
        self.final_everywhere(what)
        for node, kind in ((self.far, "far"), (lossy, "lossy"), (slow, "slow")):
            peers = len(node.peers())
            self.report.check(f"the {kind} one keeps its peers", peers >= PEERS, f"{peers}")
        forwarder = self.far.host.forwarder
        self.report.check("frames went through the forwarder", forwarder.carried > 1000,
                          f"{forwarder.carried} carried, {forwarder.lost} lost")
        self.attempt("all have the same head", lambda: self.same_head(self.nodes), FOUND_AGAIN)
        self.far.host.forwarder.delay = 0
        lossy.host.lose(0)
        slow.host.limit(None)

    def interfaces(self):
        self.report.section("Interfaces")
        node = self.wired[2]
        node.host.ip("link", "set", "eth0", "down")
        self.wait_slots(DOWN)
        self.report.check("a node whose interface is down does not follow the others",
                          not self.same_head([node, self.far], self.clock.slot() - DOWN + 1))
        since = self.clock.slot()
        node.host.ip("link", "set", "eth0", "up")
        self.attempt(f"{DOWN} slots later the interface is up, and the node has the head of the others",
                     lambda: self.same_head([node, self.far], since), FOUND_AGAIN)
        node = self.wired[3]
        before = node.record()
        since = self.clock.slot() + 1
        node.host.move(MOVED)
        self.attempt("a node whose host has a new address has the head of the others",
                     lambda: self.same_head([node, self.far], since), FOUND_AGAIN)
        self.attempt(f"it has {PEERS} peers or more", lambda: len(node.peers()) >= PEERS, FOUND_AGAIN)
        self.attempt("its record tells the new address", lambda: node.record().ip() == MOVED, FOUND_AGAIN)
        after = node.record()
        self.report.check("with a higher number, and the same ports",
                          after.number > before.number and all(
                              after.port(field) == before.port(field) for field in ("tcp", "udp", "quic")),
                          f"{before.number} before, {after.number} now")
        others = [other for other in self.nodes if other is not node]
        seen = lambda: [other.name for other in others
                        if MOVED in other.peers().get(node.peer, {}).get("last_seen_p2p_address", "")]
        self.attempt("others are connected with it at the new one", lambda: len(seen()) >= PEERS, FOUND_AGAIN)

    def partition(self):
        self.report.section("Partition")
        self.world.join(False)
        # What half of them still made final of what was voted before.
        self.wait_slots(2 * self.clock.slots_per_epoch)
        before = self.finals()
        self.wait_slots((APART - 2) * self.clock.slots_per_epoch)
        after, heads = self.finals(), [side[0].beacon.head() for side in (self.east, self.west)]
        self.report.check(f"east and west, apart for {APART} epochs, have different heads", heads[0] != heads[1],
                          f"slots {heads[0] and heads[0][0]} and {heads[1] and heads[1][0]}")
        self.report.check("nothing becomes final meanwhile", before and before == after,
                          f"epoch {after and max(after)[0]}")
        across = {node.peer for node in self.west} & set().union(*(node.peers() for node in self.east))
        self.report.say(f"- connections across the cut that are still held: {len(across)} peers")
        since = self.clock.slot()
        self.world.join(True)
        self.attempt("joined again, all have the same head", lambda: self.same_head(self.nodes, since), FOUND_AGAIN)
        self.final_everywhere("joined again")

    def kills(self):
        self.report.section("30 % of the nodes are killed")
        gone = [self.aliases[2], self.wired[4], self.wired[5]]
        self.keep_counters(gone)
        for node in gone:
            node.kill()
        rest, since = self.lives(), self.clock.slot() + 1
        self.attempt("the others go on with one head", lambda: self.same_head(rest, since), FOUND_AGAIN)
        self.final_everywhere("with 70 % of the validators", nodes=rest)
        for node in gone:
            node.start_again()
        self.attempt("the killed ones are back and have the head of the others", lambda: self.same_head(self.nodes),
                     FOUND_AGAIN)
        self.final_everywhere("all back")

    def keep_counters(self, nodes):
        """What they have counted so far: a process that is killed forgets it."""
        self.counted = getattr(self, "counted", [])
        self.counted += [(node.name, node.counters()) for node in nodes]

    def end(self):
        self.report.section("At the end")
        self.attempt(f"each has {PEERS} peers or more", self.all_have_peers, FOUND_AGAIN)
        self.keep_counters(self.lives())
        cut = {name: counters.get("wren_peers_cut_total") for name, counters in self.counted}
        self.report.check("nobody was cut off or banned for what it did", not any(cut.values()) and None not in cut.values(),
                          ", ".join(f"{name} {count:.0f}" for name, count in cut.items() if count) or "0 on all")
        rejected = {}
        for name, counters in self.counted:
            for series, count in counters.items():
                topic = re.fullmatch(r'wren_gossip_messages_total\{topic="(\w+)",verdict="rejected"\}', series)
                if topic and count:
                    rejected[f"{name} {topic[1]}"] = count
        self.report.check("no message was taken for invalid", not rejected, str(rejected or "0 on all"))
        accepted = sum(count for _, counters in self.counted for series, count in counters.items()
                       if 'topic="beacon_block",verdict="accepted"' in series)
        self.report.check("blocks came by gossip", accepted > 0, f"{accepted:.0f}")
        highest = max(self.nodes, key=lambda node: node.memory)
        self.report.check(f"no node ever held more than {MEMORY >> 20} MiB", 0 < highest.memory <= MEMORY,
                          f"{highest.name} {highest.memory >> 20} MiB, the least {min(n.memory for n in self.nodes) >> 20}")
        panics = []
        for process in self.crew.all:
            with open(process.log, encoding="utf-8", errors="replace") as log:
                panics += [process.name for line in log if "panicked" in line]
        self.report.check("no program has panicked", not panics, ", ".join(panics))


PARTS = ("addresses", "bad_lines", "interfaces", "partition", "kills")


def play(run, parts):
    run.begin()
    run.together()
    for part in PARTS:
        if part in parts:
            getattr(run, part)()
    run.end()


def interrupted(number, _frame):
    """Ctrl-C, or a polite kill: all is removed, as at the end."""
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wren", required=True, help="the program, of the minimal preset")
    parser.add_argument("--slot-time", type=int, default=3, help="seconds of a slot")
    parser.add_argument("--dir", help="where network, data and logs are left; by default nothing is")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part, with the beginning and the end")
    parser.add_argument("--log-level", default="info", help="of the nodes")
    args = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    report, world = Report(), World()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.dir or temporary
        os.makedirs(folder, exist_ok=True)
        crew = Crew(folder)
        try:
            play(Run(report, Place(args.wren, folder, crew, args.log_level), world, args.slot_time),
                 args.part or PARTS)
        except Failed as failed:
            if not report.sections:
                report.section("The beginning")
            report.check("the run comes to its end", False, f"{failed}; it needs {NEEDS}")
        finally:
            crew.stop()
            world.end()
    print(f"{report.passed} passed, {report.failed} failed, 0 skipped")
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    main()
