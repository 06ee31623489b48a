"""Asks Prometheus every query of a dashboard about a node of a local chain that has a peer; see scripts/dashboard."""

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


def start(folder, wren, ports, until, processes):
    """A chain of two nodes, each with a client that has half of the keys, and Prometheus, which reads the first node. What
    is started is added to `processes` at once, so that it ends with whoever called, whatever goes wrong."""

    def run(*arguments):
        ended = subprocess.run([wren, *arguments], check=False, capture_output=True, text=True)
        if ended.returncode:
            sys.exit(f"wren {' '.join(arguments)}: {ended.stderr}")

    def spawn(name, *arguments):
        log = open(os.path.join(folder, name + ".log"), "wb")
        processes.append(subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    network = os.path.join(folder, "network")
    run("genesis", "--output", network, "--validators", "32", "--keys", "2", "--slot-time", "1", "--delay", "15")
    places = [["--network", network, "--datadir", os.path.join(folder, str(number))] for number in range(2)]
    for number, place in enumerate(places):
        keys = os.path.join(network, f"keys-{number}")
        run("keys", "import", keys, "--new-keys", "--password-file", os.path.join(keys, "password.txt"), *place)
    settings = os.path.join(folder, "prometheus.yml")
    with open(settings, "w", encoding="utf-8") as file:
        json.dump({  # JSON is YAML
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": ["127.0.0.1:" + ports["metrics"]]}]}],
        }, file)
    apis = ["http://127.0.0.1:" + ports[name] for name in ("api", "other")]
    common = ["--listen-address", "127.0.0.1", "--port", "0", "--quic-port", "0", "--no-discovery", "--allow-private",
              "--dev-engine"]
    # A builder that is not there has its figures too.
    spawn("node", wren, "node", *places[0], *common, "--http-port", ports["api"], "--metrics-port", ports["metrics"],
          "--builder", "http://127.0.0.1:" + ports["builder"])
    identity = apis[0] + "/eth/v1/node/identity"
    wait("the first node", until, lambda: get(identity)["data"]["p2p_addresses"][0])
    spawn("other", wren, "node", *places[1], *common, "--http-port", ports["other"], "--metrics-port", "0",
          "--static-peer", get(identity)["data"]["p2p_addresses"][0])
    for number, (place, api) in enumerate(zip(places, apis)):
        spawn(f"client-{number}", wren, "validator", *place, "--beacon-nodes", api, "--metrics-port", "0",
              "--suggested-fee-recipient", FEES)
    spawn("prometheus", "prometheus", "--config.file=" + settings,
          "--storage.tsdb.path=" + os.path.join(folder, "prometheus"),
          "--web.listen-address=127.0.0.1:" + ports["prometheus"])


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
    ports = {name: free_port() for name in ("api", "other", "metrics", "prometheus", "builder")}
    base = "http://127.0.0.1:" + ports["prometheus"]
    until = time.monotonic() + TIME
    passed = 0
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        try:
            start(folder, wren, ports, until, processes)
            head = f"http://127.0.0.1:{ports['api']}/eth/v1/beacon/headers/head"
            wait("the chain", until, lambda: int(get(head)["data"]["header"]["message"]["slot"]) >= SLOTS)
            seen = base + "/api/v1/query?query=beacon_head_slot"
            wait("Prometheus", until, lambda: int(get(seen)["data"]["result"][0]["value"][1]) >= SLOTS)
            for title, query in wanted:
                found = ask(base, query)
                # Some show only what has happened, and a chain takes a while for all of it.
                while not isinstance(found, int) and time.monotonic() < until:
                    time.sleep(1)
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
