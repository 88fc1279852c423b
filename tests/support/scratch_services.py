"""Toy services that speak the lifeline's lines themselves; `TOY` names how they misbehave.

crash-at-import · exit:N · never-ready · deaf (ignores STOP and SIGTERM) · hang (no heartbeat after
READY) · spin (busy loop after READY) · block (a C call that keeps the interpreter) · lively
(heartbeats from a thread while the loop is dead) · flood:BYTES and halves:BYTES (print so much) ·
quiet (no diary) · busy (never reads) · slow-stop · children (leaves a grandchild and a daemon) ·
echo (answers on its `req` socket) · noisy · thread · repaired:PATH (works once PATH exists)
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from orch import log
from orch.paths import Home


def behaviours() -> set[str]:
    """What `TOY` names, without the arguments."""
    return {word.partition(":")[0] for word in os.environ.get("TOY", "").split(",") if word}


def argument(name: str) -> str:
    """The text after `name:` in `TOY`."""
    for word in os.environ.get("TOY", "").split(","):
        if word.startswith(f"{name}:"):
            return word.partition(":")[2]
    return ""


class Toy:
    """One toy: READY, a heartbeat often, STOP obeyed, gone when the lifeline ends."""

    def __init__(self) -> None:
        pairs = (item.split("=") for item in os.environ["ORCH_FDS"].split(","))
        self.fds = {name: int(number) for name, number in pairs}
        self.lifeline = socket.socket(fileno=self.fds["lifeline"])
        self.how = behaviours()
        self.beats = 0
        self.stopping = False
        self.req: socket.socket | None = None

    def say(self, line: str) -> None:
        """Send a line to orchd."""
        self.lifeline.sendall(f"{line}\n".encode())

    def run(self) -> None:
        """Serve until told to stop."""
        self.prepare()
        self.note("started")
        if "exit" in self.how:
            sys.exit(int(argument("exit")))
        if "never-ready" not in self.how:
            self.say("READY")
        for how in ("hang", "spin", "block", "lively", "flood", "halves"):
            if how in self.how:
                getattr(self, how)()
        while self.turn():
            pass
        if "slow-stop" in self.how:
            time.sleep(0.5)
        self.note("stopped")

    def prepare(self) -> None:
        """Set up what the behaviours need."""
        signal.signal(signal.SIGTERM, self.on_terminate)
        if "req" in self.fds and "echo" in self.how:
            self.req = socket.socket(fileno=self.fds["req"])
        if "children" in self.how:
            subprocess.Popen(["sleep", "1000"])
            subprocess.Popen(["sleep", "1001"], start_new_session=True)
        if "noisy" in self.how:
            print("line on stdout", flush=True)
            print("line on stderr", file=sys.stderr, flush=True)

    def on_terminate(self, _number: int, _frame: object) -> None:
        """SIGTERM: leave at the next turn, unless deaf."""
        self.stopping = "deaf" not in self.how

    def hang(self) -> None:
        """Live on without a heartbeat."""
        while True:
            time.sleep(100)

    def spin(self) -> None:
        """Work for ever in Python."""
        while True:
            pass

    def block(self) -> None:
        """Call into C for ever, with the interpreter's lock held."""
        ctypes.PyDLL(None).sleep(1000)

    def lively(self) -> None:
        """A thread says that all is well, with the count of a loop that does not turn."""

        def lie() -> None:
            while True:
                self.say(f"HEARTBEAT {self.beats}")
                time.sleep(0.1)

        threading.Thread(target=lie, daemon=True).start()
        self.hang()

    def flood(self) -> None:
        """Print numbered lines at 100 MB/s, each in two pieces; note how it went."""
        log.setup(Home(), os.environ["ORCH_SERVICE"])
        total, sent, number, slowest = int(argument("flood")), 0, 0, 0.0
        began = time.monotonic()
        while sent < total and self.turn():
            for _ in range(100):
                line = b"%012d %s|\n" % (number, b"x" * 8000)
                for piece in (line[:4000], line[4000:]):
                    asked = time.monotonic()
                    os.write(1, piece)
                    slowest = max(slowest, time.monotonic() - asked)
                number += 1
                sent += len(line)
            time.sleep(max(0.0, began + sent / 1e8 - time.monotonic()))
        self.note(f"flooded {number} {time.monotonic() - began:.3f} {slowest:.3f}")

    def halves(self) -> None:
        """Print a lot and half a line; with each REOPEN the other half and half a new line."""
        log.setup(Home(), os.environ["ORCH_SERVICE"])
        os.write(1, b"x" * int(argument("halves")) + b"\nfirst ")

    def turn(self) -> bool:
        """One round of the loop; False when it is time to leave."""
        waiting = [self.lifeline] + ([self.req] if self.req else [])
        ready, _, _ = select.select(waiting, [], [], 0 if "flood" in self.how else 0.2)
        if self.req in ready:
            self.answer()
        if self.lifeline in ready and not self.hear(self.lifeline.recv(65536)):
            return False
        self.beats += 1
        self.say(f"HEARTBEAT {self.beats}")
        return not self.stopping

    def hear(self, data: bytes) -> bool:
        """Obey what orchd says; False at the end of the lifeline."""
        for line in data.decode().splitlines():
            self.note(line)
            if line == "REOPEN":
                log.reopen(Home().raw_log(os.environ["ORCH_SERVICE"]))
                if "halves" in self.how:
                    os.write(1, b"second\nfirst ")
            if line == "STOP" and "deaf" not in self.how:
                self.stopping = True
        return bool(data)

    def answer(self) -> None:
        """Answer one connection on `req` with our pid."""
        assert self.req is not None
        connection, _ = self.req.accept()
        connection.sendall(f"{os.getpid()}\n".encode())
        connection.close()

    def note(self, what: str) -> None:
        """Append to the toy's diary, which tests read."""
        if "quiet" in self.how:
            return
        diary = Path(os.environ["ORCH_HOME"]) / f"{os.environ['ORCH_SERVICE']}.diary"
        with diary.open("a") as file:
            file.write(f"{os.getpid()} {what}\n")


def main() -> None:
    """Run one toy."""
    if "repaired" in behaviours() and not Path(argument("repaired")).exists():
        sys.exit("not repaired yet")
    Toy().run()


if __name__ == "__main__":
    main()
