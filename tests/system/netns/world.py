"""Hosts that are network namespaces, on two bridges with one cable between them."""

import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import time
import urllib.request

from forward import Forwarder
from processes import Failed

# What the machine has to have.
NEEDS = "root, `ip` with network namespaces, veth and bridges, /dev/net/tun, `iptables` with statistic, `tc` with tbf"
# setns(2): the kind of namespace.
CLONE_NEWNET = 0x40000000
# Seconds that a command which sets something up may take.
COMMAND = 30

_libc = ctypes.CDLL(None, use_errno=True)


def run(*words):
    """A command to its end; what it printed."""
    words = [str(word) for word in words]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND, check=False)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(words)}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _enter(file):
    if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise Failed(f"cannot enter {file.name}: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def inside(namespace):
    """For a while this thread makes its sockets and interfaces in a namespace. What was made stays there."""
    with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{namespace}", "rb") as there:
        _enter(there)
        try:
            yield
        finally:
            _enter(home)


class Host:
    """A machine with one interface, eth0."""

    def __init__(self, world, name, addresses):
        self.world, self.name = world, name
        self.namespace = world.prefix + name
        run("ip", "netns", "add", self.namespace)
        world.namespaces.append(self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        self.addresses = addresses

    def give_addresses(self):
        """The first address is eth0's own, further ones of IPv4 are its aliases eth0:0, eth0:1, …"""
        for number, address in enumerate(self.addresses):
            # At once, without asking whether somebody else has it.
            words = ["nodad"] if ":" in address else ["label", f"eth0:{number - 1}" if number else "eth0"]
            self.ip("addr", "add", address + ("/64" if ":" in address else "/24"), "dev", "eth0", *words)
        self.ip("link", "set", "eth0", "up")

    def ip(self, *words):
        return run("ip", "-n", self.namespace, *words)

    def inside(self, *words):
        """A command's words, so that it runs on this host."""
        return ["ip", "netns", "exec", self.namespace, *words]

    def move(self, address):
        """The interface gets another address in place of all that it has."""
        self.ip("addr", "flush", "dev", "eth0", "scope", "global")
        self.addresses = [address]
        self.give_addresses()

    def lose(self, share):
        """Loses this share of what comes in, by chance; nothing any more with 0."""
        run(*self.inside("iptables", "-F", "INPUT"))
        if share:
            rule = ["-i", "eth0", "-m", "statistic", "--mode", "random", "--probability", share, "-j", "DROP"]
            run(*self.inside("iptables", "-A", "INPUT", *rule))

    def limit(self, rate):
        """What the interface sends, and what its port of the bridge sends to it, is so slow; without a limit with None."""
        for namespace, interface in ((self.namespace, "eth0"), (self.world.hub, "p-" + self.name)):
            if rate:
                run("tc", "-n", namespace, "qdisc", "replace", "dev", interface, "root", "tbf", "rate", rate,
                    "burst", "32kbit", "latency", "400ms")
            else:
                run("tc", "-n", namespace, "qdisc", "del", "dev", interface, "root")

    def reaches(self, address, port):
        """Whether this host can make a connection of TCP."""
        with inside(self.namespace):
            try:
                with socket.create_connection((address, port), timeout=2):
                    return True
            except OSError:
                return False

    def opener(self):
        """What opens URLs from this host."""
        namespace = self.namespace

        class Connection(http.client.HTTPConnection):
            def connect(self):
                with inside(namespace):
                    super().connect()

        class Handler(urllib.request.HTTPHandler):
            def http_open(self, request):
                return self.do_open(Connection, request)

        return urllib.request.build_opener(urllib.request.ProxyHandler({}), Handler()).open


class World:
    """All hosts, and what joins them. `end` removes it again."""

    def __init__(self):
        # Whoever was killed without a chance to clean up left namespaces with the id of a process that is no more.
        self.prefix = f"wren{os.getpid()}-"
        self.hub = self.prefix + "hub"
        self.namespaces, self.forwarders = [], []

    def begin(self):
        """The two bridges, and the cable between them."""
        run("ip", "netns", "add", self.hub)
        self.namespaces.append(self.hub)
        for bridge in ("east", "west"):
            run("ip", "-n", self.hub, "link", "add", bridge, "type", "bridge")
            run("ip", "-n", self.hub, "link", "set", bridge, "up")
        run("ip", "-n", self.hub, "link", "add", "cable-e", "type", "veth", "peer", "name", "cable-w")
        run("ip", "-n", self.hub, "link", "set", "cable-e", "master", "east")
        run("ip", "-n", self.hub, "link", "set", "cable-w", "master", "west")
        self.join(True)

    def join(self, joined):
        """Plugs the cable in, or out: then those in the east and those in the west hear nothing of each other."""
        for end in ("cable-e", "cable-w"):
            run("ip", "-n", self.hub, "link", "set", end, "up" if joined else "down")

    def address(self, bridge, address):
        """Gives this machine an address of its own on a bridge."""
        run("ip", "-n", self.hub, "addr", "add", address + "/24", "dev", bridge)

    def wired(self, name, bridge, addresses):
        """A host on a pair of veth interfaces."""
        host = Host(self, name, addresses)
        port = "p-" + name
        run("ip", "-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
        run("ip", "-n", self.hub, "link", "set", port, "master", bridge, "up")
        host.give_addresses()
        return host

    def tapped(self, name, bridge, addresses):
        """A host whose interface is a tap; a forwarder carries frames between it and one on the bridge."""
        host, port = Host(self, name, addresses), "p-" + name
        ends = []
        for namespace, interface in ((host.namespace, "eth0"), (self.hub, port)):
            with inside(namespace):
                ends.append(Forwarder.tap(interface))
        host.forwarder = Forwarder(*ends)
        host.forwarder.start()
        self.forwarders.append(host.forwarder)
        run("ip", "-n", self.hub, "link", "set", port, "master", bridge, "up")
        host.give_addresses()
        return host

    def end(self):
        """Ends what still runs on the hosts, and removes them."""
        for namespace in self.namespaces:
            pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
            for pid in pids.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for forwarder in self.forwarders:
            forwarder.end()
        time.sleep(0.2)
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
        self.namespaces = []
