"""A chain of Wren and Lighthouse; see scripts/interop.

Half of the validators are with a client of either make, so that nothing becomes final unless both understand each other.
There are two runs: by TCP, where each client asks the node of its own make, and by QUIC, where each asks the other's.
"""

import argparse
import os
import sys
import tempfile
import time

from makes import LighthouseNode, Place, WrenNode, lighthouse_client, wren_client
from processes import Crew, Failed, until
from report import Report
from watch import Clock, Watch

VALIDATORS = 64
# Seconds from the making of genesis to genesis: keys are imported and four programs started, on a busy machine.
DELAY = 75
# Epochs from 1 to this one are those in which nothing is disturbed.
CALM = 3
# Slots that a node is away when it is started again.
AWAY = 6
# Slots for which new nodes are watched once they have the chain.
FOLLOWED = 12
# The share of a calm epoch's slots, votes or sync committee bits that has to be good: a busy machine is late at times.
GOOD = 0.8


class Chain:
    """One run: two nodes, two clients, and those that join later."""

    def __init__(self, report, place, transport, crossed, slot_time):
        self.report, self.place, self.crew = report, place, place.crew
        self.transport, self.crossed, self.slot_time = transport, crossed, slot_time

    def start(self):
        """Genesis, both nodes with all columns, both clients."""
        made = self.place.run_wren("genesis", "--output", self.place.network, "--validators", VALIDATORS, "--keys", 2,
                                   "--slot-time", self.slot_time, "--delay", DELAY)
        self.report.say("Genesis: " + ", ".join(line for line in made.split("\n")[-3:] if line).replace(
            self.place.network, "the network's folder"))
        self.report.say("")
        self.wren, self.lighthouse = WrenNode(self.place, "wren"), LighthouseNode(self.place, "lighthouse")
        self.nodes = [self.wren, self.lighthouse]
        self.lighthouse.start(self.transport, supernode=True)
        self.wren.start(self.transport, dial=self.lighthouse.address(self.transport), supernode=True)
        of_wren, of_lighthouse = self.nodes[::-1] if self.crossed else self.nodes
        wren_client(self.place, "wren-client", self.place.network + "/keys-0", of_wren)
        lighthouse_client(self.place, "lighthouse-client", self.place.network + "/keys-1", of_lighthouse)
        genesis = [node.beacon.get("/eth/v1/beacon/genesis") for node in self.nodes]
        self.report.check("both APIs tell the same genesis", genesis[0] == genesis[1],
                          f"validators root {genesis[0]['genesis_validators_root']}")
        roots = [node.beacon.get("/eth/v1/beacon/headers/genesis")["root"] for node in self.nodes]
        self.report.check("both compute the same genesis block", roots[0] == roots[1], roots[0])
        per_epoch = int(self.wren.beacon.get("/eth/v1/config/spec")["SLOTS_PER_EPOCH"])
        self.clock = Clock(int(genesis[0]["genesis_time"]), self.slot_time, per_epoch)
        self.watch = Watch([node.beacon for node in self.nodes], self.clock)
        self.watch.start()

    def wait_slot(self, slot):
        while self.clock.slot() < slot:
            self.crew.check()
            time.sleep(0.5)

    def wait(self, what, question, epochs):
        """Until the answer is there, for so many epochs at most."""
        return until(what, question, self.crew, epochs * self.clock.slots_per_epoch * self.slot_time)

    def meet(self):
        """Both know of each other as connected, by the wanted transport."""
        for here, there in ((self.wren, self.lighthouse), (self.lighthouse, self.wren)):
            connected = lambda: here.beacon.address_of(there.peer)
            address = self.wait(f"{here.make} is connected with {there.make}", connected, 1)
            way = "/tcp/" if self.transport == "tcp" else "/quic-v1"
            # Ports differ from run to run.
            shown = "/".join("…" if part.isdigit() else part for part in address.split("/p2p/")[0].split("/"))
            self.report.check(f"{here.make} is connected with {there.make} by {self.transport.upper()}",
                              way in address, shown)

    def calm(self):
        """The first epochs: everything is done by both, and becomes final."""
        self.wait_slot((CALM + 1) * self.clock.slots_per_epoch)
        final = lambda: all(CALM - 1 in self.watch.finalized[node.name] for node in self.nodes)
        self.wait(f"epoch {CALM - 1} is final on both", final, 1)
        slots = [slot for epoch in range(1, CALM + 1) for slot in self.clock.slots_of(epoch)]
        agreed = len(self.watch.agreed(slots))
        self.report.check("both have the same new head before its slot is over",
                          agreed >= GOOD * len(slots), f"{agreed} of {len(slots)} slots")
        self.part("both count what came by gossip", self.gossip)
        for epoch in range(1, CALM):
            self.part(f"the votes of epoch {epoch} are told", lambda: self.votes(epoch))
        self.part("the blocks are told", lambda: self.blocks(slots))

    def gossip(self):
        """What each says that it took by gossip; the other, its only peer, must have sent it."""
        ours, theirs = self.wren.counters(), self.lighthouse.counters()
        for what, topic, name in (
            ("blocks", "beacon_block", "gossip_block_imported"),
            ("columns", "data_column_sidecar", "gossip_data_column_verified"),
            ("aggregates", "beacon_aggregate_and_proof", "aggregated_attestation_imported"),
            ("contributions", "sync_committee_contribution_and_proof", "sync_contribution_imported"),
        ):
            of = lambda verdict: ours.get(f'wren_gossip_messages_total{{topic="{topic}",verdict="{verdict}"}}', 0)
            self.report.check(f"Wren takes {what} of Lighthouse by gossip and rejects none",
                              of("accepted") > 0 and of("rejected") == 0, f"{of('accepted'):.0f}")
            count = theirs.get(f"beacon_processor_{name}_total", 0)
            self.report.check(f"Lighthouse takes {what} of Wren by gossip", count > 0, f"{count:.0f}")

    def part(self, what, look):
        """A look at what there is already: if it fails, the run still goes on."""
        try:
            look()
        except Failed as failed:
            self.report.check(what, False, str(failed))

    def votes(self, epoch):
        """Votes and their rewards, as both count them."""
        told = [node.beacon.right_targets(epoch) for node in self.nodes]
        halves = [len([one for one in told[0] if one // (VALIDATORS // 2) == half]) for half in range(2)]
        self.report.check(f"both reward the same votes of epoch {epoch}", told[0] == told[1])
        self.report.check(f"validators of both clients vote in epoch {epoch}",
                          min(halves) >= GOOD * VALIDATORS / 2, f"Wren's {halves[0]}, Lighthouse's {halves[1]}")

    def blocks(self, slots):
        """Whose blocks there are, and what is in them."""
        proposed, blobs, bits, same = [0, 0], [0, 0], [], True
        for slot in slots:
            roots = [node.beacon.root(slot) for node in self.nodes]
            same = same and roots[0] == roots[1]
            if roots[0] is None:
                continue
            block = self.lighthouse.beacon.block(slot)
            half = int(block["proposer_index"]) // (VALIDATORS // 2)
            proposed[half] += 1
            blobs[half] += len(block["body"]["blob_kzg_commitments"])
            committee = bytes.fromhex(block["body"]["sync_aggregate"]["sync_committee_bits"][2:])
            bits.append(sum(byte.bit_count() for byte in committee) / (8 * len(committee)))
        self.report.check("both have the same blocks", same, f"slots {slots[0]} to {slots[-1]}")
        for make, blocks, held in zip(("Wren", "Lighthouse"), proposed, blobs):
            self.report.check(f"validators of {make}'s client propose blocks with blobs", blocks and held,
                              f"{blocks} blocks, {held} blobs")
        self.report.check("hardly a slot is without a block", sum(proposed) >= GOOD * len(slots),
                          f"{sum(proposed)} blocks in {len(slots)} slots")
        mean = sum(bits) / max(len(bits), 1)
        self.report.check("sync committee members of both take part", mean >= GOOD, f"{100 * mean:.1f} % of bits")

    def follow(self):
        """A new node of either make gets the chain from the other make alone, then follows it by gossip."""
        joined = []
        for fresh, source in ((WrenNode, self.lighthouse), (LighthouseNode, self.wren)):
            node = fresh(self.place, f"new-{fresh.make.lower()}")
            node.start(self.transport, dial=source.address(self.transport))
            joined.append((node, source))
        begun = time.monotonic()
        for node, source in joined:
            caught_up = lambda: node.beacon.synced() and node.beacon.head() == source.beacon.head()
            self.wait(f"a new {node.make} syncs from {source.make}", caught_up, 2)
            seconds = time.monotonic() - begun
            self.part(f"the chain of the new {node.make} is told", lambda: self.compare(node, source, seconds))
        first = self.clock.slot() + 1
        slots = range(first, first + FOLLOWED)
        watches = [Watch([node.beacon, source.beacon], self.clock) for node, source in joined]
        for watch in watches:
            watch.start()
        self.wait_slot(first + FOLLOWED)
        for watch, (node, source) in zip(watches, joined):
            watch.done.set()
            agreed = len(watch.agreed(slots))
            self.report.check(f"the new {node.make} follows: it has {source.make}'s new head before its slot is over",
                              agreed >= FOLLOWED / 2, f"{agreed} of {FOLLOWED} slots")
            peers = node.beacon.get("/eth/v1/node/peer_count")["connected"]
            self.report.check(f"the new {node.make} has one peer, the other make", int(peers) == 1)
            node.process.stop()

    def compare(self, node, source, seconds):
        """The new node has the chain of its source."""
        epoch, root = node.beacon.finalized()
        self.report.check(f"a new {node.make} syncs from {source.make}", source.beacon.finalized()[0] >= epoch >= 2,
                          f"within {seconds:.0f} s, epoch {epoch} final, {root}")
        slots = range(1, epoch * self.clock.slots_per_epoch)
        same = all(node.beacon.root(slot) == source.beacon.root(slot) for slot in slots)
        self.report.check("it has the same blocks", same, f"slots 1 to {slots[-1]}")
        with_blobs = [slot for slot in slots if node.beacon.root(slot) and
                      node.beacon.block(slot)["body"]["blob_kzg_commitments"]]
        columns = [len(node.beacon.columns(slot)) for slot in with_blobs]
        self.report.check("it has columns of every block with blobs", columns and min(columns) > 0,
                          f"{len(columns)} blocks, {min(columns, default=0)} to {max(columns, default=0)} columns")

    def restart(self, node, other):
        """A node is away for some slots, comes back and finds the chain again."""
        back = self.clock.slot() + AWAY
        self.report.check(f"{node.make} stops when told to", node.process.stop())
        self.wait_slot(back)
        node.process.start()
        begun = time.monotonic()
        caught_up = lambda: node.beacon.synced() and node.beacon.head() == other.beacon.head()
        self.wait(f"{node.make} has the chain again", caught_up, 2)
        self.report.check(f"{node.make} is away for {AWAY} slots and has the chain again", True,
                          f"{time.monotonic() - begun:.0f} s after its start")

    def end(self):
        """After all that the chain goes on and becomes final; both tell the same."""
        wanted = self.clock.epoch() + 1
        final = lambda: all(max(self.watch.finalized[node.name], default=0) >= wanted for node in self.nodes)
        self.wait(f"epoch {wanted} is final on both", final, 5)
        self.watch.done.set()
        self.watch.join()
        ours, theirs = (self.watch.finalized[node.name] for node in self.nodes)
        epochs = sorted(epoch for epoch in set(ours) | set(theirs) if epoch > 0)
        self.report.check("an epoch after both restarts is final", True, f"epoch {wanted}")
        self.report.check("every epoch that both told as final has one root",
                          all(ours[epoch] == theirs[epoch] for epoch in set(ours) & set(theirs)))
        rows = [(epoch, ours.get(epoch, "not seen"), theirs.get(epoch, "not seen")) for epoch in epochs]
        self.report.table(("final epoch", "root, by Wren's API", "root, by Lighthouse's API"), rows)


def play(chain):
    chain.start()
    chain.meet()
    chain.calm()
    chain.follow()
    chain.restart(chain.wren, chain.lighthouse)
    chain.restart(chain.lighthouse, chain.wren)
    chain.end()


def run(report, args, folder, transport):
    crossed = transport == "quic"
    whose = "the other make's" if crossed else "its own make's"
    report.section(f"{transport.upper()}, each client with {whose} node")
    folder = os.path.join(folder, transport)
    os.mkdir(folder)
    crew = Crew(folder)
    place = Place(args.wren, args.lighthouse, folder, crew, args.blobs)
    chain = Chain(report, place, transport, crossed, args.slot_time)
    try:
        play(chain)
        return [node.version() for node in chain.nodes]
    except Failed as failed:
        report.check("the run comes to its end", False, str(failed))
        return []
    finally:
        crew.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wren", required=True, help="our program")
    parser.add_argument("--lighthouse", required=True, help="the other program, of the same preset")
    parser.add_argument("--slot-time", type=int, default=4, help="seconds of a slot")
    parser.add_argument("--blobs", type=int, default=2, help="blobs in each block")
    parser.add_argument("--transport", choices=("tcp", "quic"), action="append", help="only this run")
    parser.add_argument("--dir", help="where networks, data and logs are left; by default nothing is")
    parser.add_argument("--transcript", help="write what was seen to this file, in Markdown")
    args = parser.parse_args()
    report, versions = Report(), []
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.dir or temporary
        os.makedirs(folder, exist_ok=True)
        for transport in args.transport or ("tcp", "quic"):
            versions = run(report, args, folder, transport) or versions
    if args.transcript:
        blobs = f"slots of {args.slot_time} s, {args.blobs} blobs in each block, mainnet's preset, Fulu from genesis on"
        split = f"{VALIDATORS} validators, the first half with Wren's client, the second with Lighthouse's"
        with open(args.transcript, "w", encoding="utf-8") as file:
            file.write(report.page([*versions, split, blobs]))
    print(f"{report.passed} passed, {report.failed} failed, 0 skipped")
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    main()
