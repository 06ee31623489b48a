"""Asks Prometheus every query of a dashboard about a node of a local chain; see scripts/dashboard."""

import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

# Rates are over minutes, but two samples are enough for them; a slot is a second, so this sees blocks and votes.
SLOTS = 12
# Seconds for everything: it takes half a minute.
TIME = 180
# Every query's answer is small.
ANSWER_BYTES = 1 << 20
FEES = "0x8943545177806ED17B9F23F0a21ee5948eCaa776"


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read(ANSWER_BYTES))


def wait(what, until, holds):
    while True:
        try:
            if holds():
                return
        except (OSError, KeyError, IndexError):
            pass  # not there yet
        if time.monotonic() > until:
            sys.exit(f"waited {TIME} s in vain for {what}")
        time.sleep(0.5)


def queries(dashboard):
    """Title and query of every panel."""
    panels = json.load(open(dashboard, encoding="utf-8"))["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


def start(folder, wren, ports):
    """A chain of one node and one client, and Prometheus, which reads the node."""

    def run(*arguments):
        ended = subprocess.run([wren, *arguments], check=False, capture_output=True, text=True)
        if ended.returncode:
            sys.exit(f"wren {' '.join(arguments)}: {ended.stderr}")

    def spawn(name, *arguments):
        log = open(os.path.join(folder, name + ".log"), "wb")
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    network, data = os.path.join(folder, "network"), os.path.join(folder, "data")
    run("genesis", "--output", network, "--validators", "32", "--keys", "1", "--slot-time", "1", "--delay", "10")
    keys = os.path.join(network, "keys-0")
    place = ["--network", network, "--datadir", data]
    run("keys", "import", keys, "--new-keys", "--password-file", os.path.join(keys, "password.txt"), *place)
    settings = os.path.join(folder, "prometheus.yml")
    with open(settings, "w", encoding="utf-8") as file:
        json.dump({  # JSON is YAML
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": ["127.0.0.1:" + ports["metrics"]]}]}],
        }, file)
    peers = ["--listen-address", "127.0.0.1", "--port", "0", "--quic-port", "0", "--no-discovery"]
    return [
        # A builder that is not there has its figures too.
        spawn("node", wren, "node", *place, *peers, "--dev-engine", "--http-port", ports["api"],
              "--metrics-port", ports["metrics"], "--builder", "http://127.0.0.1:" + ports["builder"]),
        spawn("client", wren, "validator", *place, "--beacon-nodes", "http://127.0.0.1:" + ports["api"],
              "--metrics-port", "0", "--suggested-fee-recipient", FEES),
        spawn("prometheus", "prometheus", "--config.file=" + settings,
              "--storage.tsdb.path=" + os.path.join(folder, "prometheus"),
              "--web.listen-address=127.0.0.1:" + ports["prometheus"]),
    ]


def ask(base, query):
    """How many series answer, or what is wrong."""
    answer = get(base + "/api/v1/query?query=" + urllib.parse.quote(query))
    if answer["status"] != "success":
        return "is refused"
    values = [float(series["value"][1]) for series in answer["data"]["result"]]
    if not values:
        return "has no answer"
    if all(math.isnan(value) for value in values):
        return "is no number"
    return len(values)


def main(wren, dashboard):
    wanted = queries(dashboard)
    ports = {name: free_port() for name in ("api", "metrics", "prometheus", "builder")}
    base = "http://127.0.0.1:" + ports["prometheus"]
    until = time.monotonic() + TIME
    passed = 0
    with tempfile.TemporaryDirectory() as folder:
        processes = start(folder, wren, ports)
        try:
            head = f"http://127.0.0.1:{ports['api']}/eth/v1/beacon/headers/head"
            wait("the chain", until, lambda: int(get(head)["data"]["header"]["message"]["slot"]) >= SLOTS)
            seen = base + "/api/v1/query?query=beacon_head_slot"
            wait("Prometheus", until, lambda: int(get(seen)["data"]["result"][0]["value"][1]) >= SLOTS)
            for title, query in wanted:
                found = ask(base, query)
                passed += isinstance(found, int)
                print(f"{title}: {query}: {found if isinstance(found, str) else f'{found} series'}")
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                process.wait()
    print(f"{passed} passed, {len(wanted) - passed} failed, 0 skipped")
    sys.exit(passed != len(wanted))


if __name__ == "__main__":
    main(*sys.argv[1:])
