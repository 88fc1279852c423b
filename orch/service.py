"""The frame of every long-lived process but orchd: one loop that answers, hears and ticks."""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, cast

import msgspec
import zmq

from orch import __version__, log
from orch.aside import Aside
from orch.client import Client, configure, read_event, topic
from orch.desk import Desk, Handler, Later
from orch.errors import OrchError, Unavailable
from orch.lifeline import FDS_VARIABLE, Lifeline, entitle, handed
from orch.marks import Alarm, Timer, answers, every, marked, on
from orch.messages import Message, Occurred, Ping, Pong, Request, encode
from orch.paths import Home
from orch.sockets import Listener

__all__ = ["Later", "Service", "answers", "every", "on", "run"]

R = TypeVar("R", bound=Message)
T = TypeVar("T")

BATCH = 64
"""Messages taken from one socket before the others, and the timers, have their turn."""

BEAT = 1.0
"""Seconds between heartbeats."""

EVENTS = 1000
"""Events queued for a slow subscriber before it, alone, loses some."""

REQUESTS = 64
"""Requests, and replies, queued per client."""

DATAGRAM = 65536

_NOWAIT, _MORE, _READABLE = int(zmq.NOBLOCK), int(zmq.SNDMORE), int(zmq.POLLIN)


class Service:
    """Base of a service: subclass it, decorate methods, hand the class to `run`."""

    name: ClassVar[str] = ""
    aside_threads: ClassVar[int] = 4

    def __init__(self, home: Home, name: str = "") -> None:
        self.home = home
        self.service = name or self.name or type(self).__name__.lower()
        self.settings: Any = None
        self.log = logging.getLogger(self.service)
        self.seldom = log.Seldom(self.log)
        self._handlers: dict[type[Message], Handler] = {}
        self._hears: dict[type[Occurred], list[Callable[[Any], object]]] = {}
        self._timers: list[Timer | Alarm] = []
        self._hearing_nudges = True
        self._progress = 0
        self._stopping = False
        self._beat_due = 0.0
        self._collect_marks()

    # ---- for subclasses ----------------------------------------------------------------------

    def setup(self) -> None:
        """Open what the service needs; runs before READY, with the sockets already there."""

    def teardown(self) -> None:
        """Close what `setup` opened; runs once, after the last handler, if `setup` succeeded."""

    def handle(self, request: Request[Any], handler: Handler) -> Message | Later:
        """Run one handler; override it to put a transaction around every request."""
        return handler(request)

    def on_nudge(self, data: bytes) -> None:
        """Hear a datagram that came to the nudge socket."""

    def on_nudges(self, together: list[bytes]) -> None:
        """Hear the datagrams that were waiting together; by default each goes to `on_nudge`."""
        for data in together:
            self._guard(self.on_nudge, data)

    def on_supervision(self, event: dict[str, Any]) -> None:
        """Hear what orchd reports of the services (on the engine's lifeline only)."""

    def publish(self, event: Occurred) -> None:
        """Tell whoever subscribed. Never waits; a subscriber that is too slow misses it."""
        self._pub.send(topic(type(event)) + encode(event), _NOWAIT)

    def ask(self, request: Request[R], timeout: float = 2.0, to: str = "") -> R:
        """Ask another service and wait, with the heart still beating; for short answers only."""
        return self._client.ask(request, timeout=timeout, to=to)

    def aside(
        self,
        work: Callable[[], T],
        then: Callable[[T], object] | None = None,
        failed: Callable[[Exception], object] | None = None,
        timeout: float = 60.0,
    ) -> None:
        """Run slow work in a thread; `then(result)` or `failed(error)` runs in the loop.

        Without `failed` an OrchError is logged and anything else is a bug. Past `timeout`
        seconds it is given up with `Unavailable`. Raises `Refused` when too much waits.
        """
        self._aside.start(work, then, failed, timeout)

    def post(self, call: Callable[[], None]) -> None:
        """Have the loop run `call` soon; from any thread."""
        self._aside.post(call)

    def repeat(self, seconds: float, work: Callable[[], object]) -> None:
        """Like `@every`, for a period that is known only at run time."""
        self._timers.append(Timer(seconds, work, self.clock()))

    def alarm(self, work: Callable[[], object]) -> Alarm:
        """Work for a time that is set, and set again, at run time."""
        made = Alarm(work)
        self._timers.append(made)
        return made

    def hear_nudges(self, wanted: bool) -> None:
        """Let nudges wait in their socket from now on; or take those that wait, and hear all."""
        if wanted == self._hearing_nudges:
            return
        self._hearing_nudges = wanted
        if wanted:
            self._watch(self._nudge.fileno(), self._take_nudges)
            self._take_nudges()
        else:
            self._poller.unregister(self._nudge.fileno())

    def extend(self, seconds: float) -> None:
        """Announce that the loop may be busy for `seconds`, so nobody takes it for hung."""
        self._lifeline.extend(seconds)

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def clock(self) -> float:
        """Seconds of the machine's monotonic clock."""
        return time.monotonic()

    def stop(self) -> None:
        """Leave after the current handler; from any thread or signal handler."""
        self._stopping = True
        if hasattr(self, "_aside"):
            self._aside.wake()

    @answers(Ping)
    def _pong(self, _request: Ping) -> Pong:
        return Pong(self.service, __version__, os.getpid())

    # ---- the loop ----------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until stopped, by `stop`, by orchd, or by its end. Raises what a bug raises."""
        self._open()
        try:
            self.setup()
            try:
                self._lifeline.ready()
                self._serve()
            finally:
                self.teardown()
        finally:
            self._close()

    def _serve(self) -> None:
        while not self._stopping:
            ready = self._poll()
            for what in ready:
                self._ready[what]()
            self._run_all(self._aside.expire(self.clock()))
            self._tick()

    def _poll(self) -> list[Any]:
        due = [timer.due for timer in self._timers] + [self._beat_due]
        timeout = self._aside.next_timeout()
        soonest = min(due if timeout is None else [*due, timeout])
        wait = max(0, math.ceil((soonest - self.clock()) * 1000))
        return [what for what, _ in self._poller.poll(wait)]

    def _tick(self) -> None:
        self._beat()
        for timer in sorted(self._timers, key=lambda timer: timer.due):
            now = self.clock()
            if timer.due > now or self._stopping:
                continue
            timer.advance(now)
            self._guard(timer.work)

    def _beat(self) -> None:
        self._progress += 1
        if self.clock() >= self._beat_due:
            self._beat_due = self.clock() + BEAT
            self._lifeline.heartbeat(self._progress)

    def _guard(self, work: Callable[..., object], *given: object) -> None:
        """Run a handler that nobody waits for: an expected error is logged, a bug is raised."""
        if self._stopping:
            return
        try:
            work(*given)
        except OrchError as error:
            name = getattr(work, "__name__", "work")
            fields = {"error": type(error).__name__, "hint": error.hint}
            self.seldom.warning(f"{name} {type(error).__name__}", f"{name}: {error}", **fields)

    def _run_all(self, calls: list[Callable[[], None]]) -> None:
        for call in calls:
            self._guard(call)

    def _take_requests(self) -> None:
        for _ in range(BATCH):
            self._desk.take(self._req.recv_multipart(_NOWAIT))
            if self._stopping or not _has_more(self._req):
                return

    def _send_reply(self, frames: list[bytes]) -> None:
        try:
            self._req.send(frames[0], _NOWAIT | _MORE)
            self._req.send(frames[1], _NOWAIT)
        except zmq.Again:
            self.seldom.warning("reply", "dropped a reply: its client does not read")

    def _take_events(self, sub: zmq.Socket[bytes]) -> None:
        for _ in range(BATCH):
            event = read_event(sub.recv_multipart(_NOWAIT)[0])
            for method in self._hears.get(type(event), ()) if event is not None else ():
                self._guard(method, event)
            if self._stopping or not _has_more(sub):
                return

    def _take_nudges(self) -> None:
        together = []
        for _ in range(BATCH):
            try:
                together.append(self._nudge.recv(DATAGRAM))
            except (BlockingIOError, InterruptedError):
                break
        self._guard(self.on_nudges, together)

    def _take_lines(self) -> None:
        for line in self._lifeline.receive():
            word, _, rest = line.partition(" ")
            if word == "STOP":
                self._stopping = True
            elif word == "REOPEN":
                log.reopen(self.home.raw_log(self.service))
            elif word == "EVENT":
                self._hear_supervision(rest)
        if self._lifeline.ended:
            self._stopping = True

    def _hear_supervision(self, text: str) -> None:
        try:
            event = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            self.seldom.warning("lifeline", "orchd said something that cannot be read")
            return
        self._guard(self.on_supervision, event)

    def _while_asking(self) -> None:
        """Between waits of a blocking `ask`: keep beating, and give up when we are to leave."""
        self._beat()
        self._take_lines()
        if self._stopping:
            raise Unavailable(f"{self.service} is stopping")

    # ---- opening and closing -----------------------------------------------------------------

    def _collect_marks(self) -> None:
        for method, marks in marked(self):
            for request in marks.answers:
                if request in self._handlers:
                    raise TypeError(f"{request.__name__} is answered twice")
                self._handlers[request] = method
            for event in marks.on:
                self._hears.setdefault(event, []).append(method)
            if marks.every:
                self._timers.append(Timer(marks.every, method, self.clock()))

    def _open(self) -> None:
        fds = handed()
        os.environ.pop(FDS_VARIABLE, None)
        self._lifeline = Lifeline(fds.get("lifeline"))
        self._listeners: list[Listener] = []
        self._aside = Aside(threads=self.aside_threads)
        self._context: zmq.Context[Any] = zmq.Context()
        self._client = Client(self.home, self._context, waiting=self._while_asking)
        self._poller = zmq.Poller()
        self._ready: dict[Any, Callable[[], None]] = {}
        self._main = threading.current_thread() is threading.main_thread()
        if self._main:
            signal.set_wakeup_fd(self._aside.ring_fd, warn_on_full_buffer=False)
        try:
            self._open_sockets(fds)
        except BaseException:
            self._close()
            raise

    def _open_sockets(self, fds: dict[str, int]) -> None:
        self._watch(self._aside.fileno(), lambda: self._run_all(self._aside.collect()))
        if self._lifeline.supervised:
            self._watch(self._lifeline.fileno(), self._take_lines)
        self._pub = self._bind(zmq.PUB, "pub", fds, EVENTS)
        self._req = self._bind(zmq.ROUTER, "req", fds, REQUESTS)
        self._desk = Desk(self.service, self._handlers, self.handle, self._send_reply, self.seldom)
        self._watch(self._req, self._take_requests)
        own = type(self)
        if "nudge" in fds or (own.on_nudge, own.on_nudges) != (Service.on_nudge, Service.on_nudges):
            fd = self._listening("nudge", fds)
            self._nudge = socket.socket(fileno=fd)
            self._nudge.setblocking(False)
            self._watch(fd, self._take_nudges)
        for owner in sorted({event.owner for event in self._hears}):
            self._listen_to(owner)

    def _bind(self, kind: int, name: str, fds: dict[str, int], queue: int) -> zmq.Socket[bytes]:
        fd = self._listening(name, fds)
        os.set_blocking(fd, False)
        made: zmq.Socket[bytes] = self._context.socket(kind)
        configure(made, queue)
        # With a domain (and nobody to ask about it) libzmq turns away what does not speak ZMTP 3;
        # it would take any other bytes for ZMTP 1, and loses 13 KiB on each such connection.
        made.setsockopt(zmq.ZAP_DOMAIN, b"orch")
        if kind == zmq.ROUTER:
            made.setsockopt(zmq.PROBE_ROUTER, 1)  # it greets each connection: see `Client`
        made.setsockopt(zmq.USE_FD, fd)
        made.bind(f"ipc://{self.home.socket(self.service, name)}")
        return made

    def _listening(self, name: str, fds: dict[str, int]) -> int:
        """The socket that orchd made, or, started by hand, one of our own."""
        if name in fds:
            os.set_inheritable(fds[name], False)
            return fds[name]
        listener = Listener(self.home.socket(self.service, name), name)
        self._listeners.append(listener)
        return os.dup(listener.fileno())

    def _listen_to(self, owner: str) -> None:
        sub: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        configure(sub, EVENTS)
        for event in self._hears:
            sub.setsockopt(zmq.SUBSCRIBE, topic(event))
        sub.connect(f"ipc://{self.home.socket(owner, 'pub')}")
        self._watch(sub, lambda: self._take_events(sub))

    def _watch(self, what: Any, work: Callable[[], None]) -> None:
        self._poller.register(what, zmq.POLLIN)
        self._ready[what] = work

    def _close(self) -> None:
        if self._main:
            signal.set_wakeup_fd(-1)
        self._client.close()
        self._context.destroy(linger=0)
        for listener in self._listeners:
            listener.close()
        self._aside.close()
        self._lifeline.close()


def run(kind: type[Service]) -> int:
    """Run a service as this process, in either spawn mode; returns the exit code."""
    home = Home()
    name = os.environ.get("ORCH_SERVICE", "")
    service = kind(home, name)
    if FDS_VARIABLE in os.environ:
        entitle(f"orch-{service.service} {home.root}")
    log.setup(home, service.service, os.environ.get("ORCH_LOG_LEVEL", "info"))
    faulthandler.enable(file=2, all_threads=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop())
    try:
        service.run()
    except OrchError as error:
        service.log.error(str(error), extra={"hint": error.hint})
        return error.exit_code
    except Exception:
        service.log.critical("crashed", exc_info=True)
        return 1
    return 0


def _has_more(of: zmq.Socket[bytes]) -> bool:
    return bool(cast(int, of.getsockopt(zmq.EVENTS)) & _READABLE)
