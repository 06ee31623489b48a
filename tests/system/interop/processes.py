"""The processes of a run: each with a log of its own, watched, stopped in order."""

import os
import signal
import socket
import subprocess
import time

# Seconds that a process may take to stop: a validator client finishes the duties of two slots.
STOP = 60
# Lines of a log that are shown when its process ends by itself.
LAST_LINES = 15


class Failed(Exception):
    """What went wrong, in a sentence."""


class Process:
    """A program that is started and stopped, perhaps several times."""

    def __init__(self, name, arguments, folder):
        self.name = name
        self.arguments = [str(argument) for argument in arguments]
        self.log = os.path.join(folder, name + ".log")
        self.child = None

    def start(self):
        with open(self.log, "ab") as log:
            log.write(("$ " + " ".join(self.arguments) + "\n").encode())
            log.flush()
            # A session of its own: a Ctrl-C is for this script, which then stops the others.
            self.child = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self):
        """By SIGTERM. Whether it ended within its time; else it is killed."""
        child, self.child = self.child, None
        if child is None or child.poll() is not None:
            return True
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP)
            return True
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            return False

    def check(self):
        if self.child is not None and self.child.poll() is not None:
            raise Failed(f"{self.name} has ended with {self.child.returncode}; its last words:\n{self.last_words()}")

    def last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-LAST_LINES:])


class Crew:
    """All processes of a run."""

    def __init__(self, folder):
        self.folder = folder
        self.all = []

    def start(self, name, arguments):
        process = Process(name, arguments, self.folder)
        self.all.append(process)
        process.start()
        return process

    def check(self):
        """Fails if one has ended by itself."""
        for process in self.all:
            process.check()

    def stop(self):
        """All of them, those that were started last first."""
        for process in reversed(self.all):
            process.stop()


_given = set()


def free_port():
    """A port that nobody listens on, TCP and UDP, and that was not given before."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                except OSError:
                    continue
        if port not in _given:
            _given.add(port)
            return port


def until(what, question, crew, seconds):
    """Asks until the answer is neither None nor false; gives the answer."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer is not None and answer is not False:
            return answer
        crew.check()
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s in vain: {what}")
        time.sleep(0.5)
