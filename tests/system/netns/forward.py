"""A line that takes its time: carries frames between two taps. The kernel's own (netem) is not everywhere."""

import collections
import contextlib
import fcntl
import os
import select
import struct
import threading
import time

# linux/if_tun.h: the call that makes the interface, of frames, without four bytes before each.
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
# The longest frame: an MTU of 1500 and Ethernet's header, with room.
FRAME_MAX = 2048
# Frames that may be under way each way; what comes beyond is lost, as on a real line: 6 MB.
WAITING_MAX = 4096
# Seconds after which it looks whether it is to end.
LOOK = 0.2


class Forwarder(threading.Thread):
    """Carries frames both ways between two taps, each `delay` seconds after it came."""

    @staticmethod
    def tap(name):
        """Makes a tap in the namespace of this thread; the file by which its frames are read and written."""
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TAP | IFF_NO_PI))
        return file

    def __init__(self, here, there):
        super().__init__(daemon=True)
        self.ends = (here, there)
        self.delay = 0.0
        self.carried = self.lost = 0
        self.ended = threading.Event()
        self.waiting = {here: collections.deque(), there: collections.deque()}

    def end(self):
        self.ended.set()
        self.join()
        for file in self.ends:
            os.close(file)

    def run(self):
        while not self.ended.is_set():
            due = [queue[0][0] for queue in self.waiting.values() if queue]
            pause = min([LOOK] + [max(at - time.monotonic(), 0) for at in due])
            ready, _, _ = select.select(self.ends, [], [], pause)
            for file in ready:
                self.take(file)
            for file, queue in self.waiting.items():
                self.give(file, queue)

    def take(self, file):
        """All frames that are there, for the other end."""
        queue = self.waiting[self.ends[self.ends[0] == file]]
        # The interface is down, or nothing is left.
        with contextlib.suppress(OSError):
            while True:
                frame = os.read(file, FRAME_MAX)
                if len(queue) < WAITING_MAX:
                    queue.append((time.monotonic() + self.delay, frame))
                else:
                    self.lost += 1

    def give(self, file, queue):
        """The frames that are due. One that the interface does not take is lost."""
        while queue and queue[0][0] <= time.monotonic():
            _, frame = queue.popleft()
            try:
                os.write(file, frame)
                self.carried += 1
            except OSError:
                self.lost += 1
