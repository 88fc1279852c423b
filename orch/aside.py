"""Slow work beside a service's loop: a bounded pool of threads whose results come back into it."""

from __future__ import annotations

import contextlib
import heapq
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from orch.errors import Refused, Unavailable

T = TypeVar("T")
Call = Callable[[], None]


class Work:
    """One piece of work; whoever settles it first, the thread or the timeout, is heard."""

    def __init__(
        self,
        work: Callable[[], Any],
        then: Callable[[Any], object] | None,
        failed: Callable[[Exception], object] | None,
    ) -> None:
        self.work = work
        self.then = then
        self.failed = failed
        self.running = False
        self.settled = False


class Aside:
    """Runs work in up to `threads` threads, `waiting` more in a queue; not used from two loops.

    Work that passes its timeout is given up: its late result is dropped, and its thread, which
    cannot be stopped, is replaced by another, up to `threads` such extra ones.
    """

    def __init__(self, threads: int = 4, waiting: int = 256) -> None:
        self._threads = threads
        self._waiting = waiting
        self._todo: deque[Work] = deque()
        self._calls: deque[Call] = deque()
        self._timeouts: list[tuple[float, int, float, Work]] = []
        self._count = 0
        self._alive = 0
        self._idle = 0
        self._given_up = 0
        self._closed = False
        self._turn = threading.Condition()
        self._bell, self._ring = socket.socketpair()
        self._bell.setblocking(False)
        self._ring.setblocking(False)

    def fileno(self) -> int:
        """Readable when `collect` has something to do."""
        return self._bell.fileno()

    @property
    def ring_fd(self) -> int:
        """The other end: a byte written to it (a signal's wakeup) ends the loop's wait."""
        return self._ring.fileno()

    def start(
        self,
        work: Callable[[], T],
        then: Callable[[T], object] | None,
        failed: Callable[[Exception], object] | None,
        timeout: float,
    ) -> None:
        """Queue `work`, to be settled within `timeout` seconds; raises `Refused` when full."""
        item = Work(work, then, failed)
        with self._turn:
            if len(self._todo) >= self._waiting:
                raise Refused(f"{self._waiting} pieces of slow work wait already", "try later")
            self._todo.append(item)
            self._count += 1
            entry = (time.monotonic() + timeout, self._count, timeout, item)
            heapq.heappush(self._timeouts, entry)
            if len(self._todo) > self._idle and self._alive - self._given_up < self._threads:
                self._spawn()
            self._turn.notify()

    def post(self, call: Call) -> None:
        """Have the loop run `call`; from any thread."""
        self._calls.append(call)
        self.wake()

    def wake(self) -> None:
        """End the loop's wait; from any thread."""
        with contextlib.suppress(OSError):  # full: it rings already; closed: nobody waits
            self._ring.send(b".")

    def collect(self) -> list[Call]:
        """What the loop has to run now, in order of completion."""
        try:
            while self._bell.recv(4096):
                pass
        except (BlockingIOError, InterruptedError):
            pass
        return [self._calls.popleft() for _ in range(len(self._calls))]

    def next_timeout(self) -> float | None:
        """When, on the monotonic clock, `expire` next has something to do."""
        while self._timeouts and self._timeouts[0][3].settled:
            heapq.heappop(self._timeouts)
        return self._timeouts[0][0] if self._timeouts else None

    def expire(self, now: float) -> list[Call]:
        """Give up what is past its timeout; returns what the loop has to run for it."""
        calls: list[Call] = []
        while self._timeouts and self._timeouts[0][0] <= now:
            _, _, timeout, item = heapq.heappop(self._timeouts)
            with self._turn:
                if item.settled:
                    continue
                item.settled = True
                self._replace(item)
            error = Unavailable(f"gave up after {timeout:g} s")
            calls.append(_outcome(item, error=error))
        return calls

    def close(self) -> None:
        """Let idle threads go; running work is left to end with the process."""
        with self._turn:
            self._closed = True
            self._todo.clear()
            self._turn.notify_all()
        self._bell.close()
        self._ring.close()

    def _replace(self, item: Work) -> None:
        """With the lock held: free the queue slot or the thread of an item given up."""
        if not item.running:
            self._todo.remove(item)
            return
        self._given_up += 1
        if self._todo and self._alive < 2 * self._threads:
            self._spawn()

    def _spawn(self) -> None:
        self._alive += 1
        threading.Thread(target=self._run, name="aside", daemon=True).start()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                call = _outcome(item, result=item.work())
            except Exception as error:
                call = _outcome(item, error=error)
            with self._turn:
                if item.settled:  # given up meanwhile; another thread took this one's place
                    self._given_up -= 1
                    if self._alive > self._threads:
                        self._alive -= 1
                        return
                    continue
                item.settled = True
            self.post(call)

    def _next(self) -> Work | None:
        with self._turn:
            self._idle += 1
            while not self._todo and not self._closed:
                self._turn.wait()
            self._idle -= 1
            if self._closed:
                return None
            item = self._todo.popleft()
            item.running = True
            return item


def _outcome(item: Work, result: Any = None, error: Exception | None = None) -> Call:
    def call() -> None:
        if error is None:
            if item.then is not None:
                item.then(result)
        elif item.failed is not None:
            item.failed(error)
        else:
            raise error

    return call
