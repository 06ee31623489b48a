"""Looks at the nodes of a chain all the time, and keeps what they said."""

import threading
import time

# Seconds between two looks.
PAUSE = 0.5


class Watch(threading.Thread):
    """What each node said was its head, slot by slot, and what was final, epoch by epoch."""

    def __init__(self, beacons, clock):
        super().__init__(daemon=True)
        self.beacons, self.clock = beacons, clock
        self.done = threading.Event()
        # By name of the node, then by slot: the root of the head, the first time that it was of the slot that it was then.
        self.heads = {beacon.name: {} for beacon in beacons}
        # By name of the node, then by epoch: the root of the finalized checkpoint.
        self.finalized = {beacon.name: {} for beacon in beacons}

    def run(self):
        while not self.done.wait(PAUSE):
            for beacon in self.beacons:
                self.look(beacon)

    def look(self, beacon):
        head = beacon.head()
        if head and head[0] == self.clock.slot():
            self.heads[beacon.name].setdefault(*head)
        finalized = beacon.finalized()
        if finalized:
            self.finalized[beacon.name].setdefault(*finalized)

    def agreed(self, slots):
        """Of these slots: those in which every node had the same block as its head before the slot was over."""
        seen = [self.heads[beacon.name] for beacon in self.beacons]
        return [slot for slot in slots if seen[0].get(slot) and len({heads.get(slot) for heads in seen}) == 1]


class Clock:
    """The slots of a chain."""

    def __init__(self, genesis, slot_time, slots_per_epoch):
        self.genesis, self.slot_time, self.slots_per_epoch = genesis, slot_time, slots_per_epoch

    def slot(self):
        """The current slot; negative before genesis."""
        return int((time.time() - self.genesis) // self.slot_time)

    def epoch(self):
        return self.slot() // self.slots_per_epoch

    def slots_of(self, epoch):
        return range(epoch * self.slots_per_epoch, (epoch + 1) * self.slots_per_epoch)
