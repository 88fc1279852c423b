"""The dashboard's loop: keys, rings and results in, one frame out; it never waits for a service."""

from __future__ import annotations

import contextlib
import select
import signal
import time
from collections.abc import Iterator

from orch.aside import Aside
from orch.cli import foreground, show
from orch.cli.app import App
from orch.cli.dashboard import acts
from orch.cli.dashboard.draw import frame
from orch.cli.dashboard.facts import Facts, Reader, Wish
from orch.cli.dashboard.keys import Keys, Pasted
from orch.cli.dashboard.terminal import Terminal
from orch.cli.dashboard.view import View, Wanted
from orch.client import Client
from orch.errors import OrchError
from orch.messages import EventLogged, OutputSeen, SessionChanged

CHECK = 1.0
"""Seconds between two looks at the truth when nothing rings."""

SOON = 0.2
"""Seconds between two looks at the least, however often it rings."""

ESCAPE = 0.05
"""Seconds until an escape alone is the key Esc."""

READ_SECONDS = 20.0
"""How long one look may take until it is given up: every question in it has its own limit."""

GONE = (signal.SIGTERM, signal.SIGHUP)


class Dashboard:
    """One dashboard on this process's terminal; `run` returns when its person leaves."""

    def __init__(self, app: App, all_: bool = False) -> None:
        self.home = app.home
        self.view = View(all=all_)
        self.facts = Facts()
        self.terminal = Terminal()
        self._keys = Keys()
        self._aside = Aside(threads=2, waiting=32)
        self._reader = Reader(app.home, app.chosen_project)
        self._client = Client(app.home)
        self._reading = False
        self._wish = Wish()
        self._looked = 0.0
        self._rung = True
        self._news = True
        self._fully = 0.0
        self._left = False
        self._stale = True

    def run(self) -> None:
        """Show everything until `q`. Raises `NotRunning` when there is no orch to begin with."""
        self._seen(self._reader.read(Wish(all=self.view.all)))
        if self.facts.roster is None and self.facts.overview is None:
            raise _nothing(self.facts)
        with (
            self._signals(),
            self._client.subscribe(OutputSeen, EventLogged, SessionChanged) as bell,
        ):
            self.terminal.take()
            try:
                while not self._left:
                    self._look()
                    if self._stale:
                        self._stale = False
                        self._show()
                    self._wait(bell.fileno())
                    for event in bell.poll(0):
                        self._rung = True
                        self._news = self._news or not isinstance(event, OutputSeen)
                    for call in [*self._aside.collect(), *self._aside.expire(time.monotonic())]:
                        call()
                        self._stale = True
            except EOFError:
                pass  # the terminal is gone
            finally:
                self.terminal.give_back()
                self._aside.close()

    # ---- looking and showing -----------------------------------------------------------------

    def _look(self) -> None:
        """Read the truth aside: when it rang, when the wish changed, and every second."""
        now = time.monotonic()
        wish = self._wished()
        due = self._looked + (SOON if self._rung else CHECK)
        if self._reading or (now < due and wish == self._wish):
            return
        full = self._news or wish != self._wish or now - self._fully >= CHECK
        self._reading, self._rung, self._wish, self._looked = True, False, wish, now
        if full:
            self._news, self._fully = False, now
        self._aside.start(
            lambda: self._reader.read(wish, full), self._seen, self._unread, READ_SECONDS
        )

    def _wished(self) -> Wish:
        row = self.view.row()
        return Wish(task=row.task if row else "", all=self.view.all)

    def _seen(self, facts: Facts) -> None:
        self._reading = False
        self.facts = facts
        self.view.update(facts)

    def _unread(self, error: Exception) -> None:
        self._reading = False
        if not isinstance(error, OrchError):
            raise error
        self.view.say(error.message, badly=True)

    def _show(self) -> None:
        width, height = self.terminal.size()
        self.terminal.paint(frame(self.facts, self.view, width, height))

    def _wait(self, bell: int) -> None:
        """Wait for a key, a ring, a result, or the next look; keys are done at once."""
        ends = self._looked + (SOON if self._rung else CHECK)
        if self._reading:
            ends = time.monotonic() + CHECK
        seconds = max(ends - time.monotonic(), 0.0)
        typed = self.terminal.input
        waits = [typed, self._aside.fileno(), *([] if self._rung else [bell])]
        ready, _, _ = select.select(waits, [], [], ESCAPE if self._keys.waiting else seconds)
        keys = self._keys.add(self.terminal.read()) if typed in ready else []
        if not ready and self._keys.waiting:
            keys = self._keys.rest()
        for key in keys:
            self._stale = True
            if isinstance(key, Pasted):
                self.view.type(key.text)
                continue
            wanted = self.view.press(key)
            self.view.update(self.facts)
            if wanted:
                self._do(wanted)

    # ---- acting ------------------------------------------------------------------------------

    def _do(self, wanted: Wanted) -> None:
        if wanted.act == "quit":
            self._left = True
        elif wanted.act == "redraw":
            self.terminal.forget()
            self._rung = True
        elif wanted.act in ("attach", "watch"):
            self._enter(wanted)
        else:
            self.view.say(f"{wanted.act} {wanted.task} …")
            self._aside.start(lambda: self._act(wanted), self._acted, self._failed, 60.0)

    def _act(self, wanted: Wanted) -> str:
        """Aside: a client of its own, since the loop's is the loop's."""
        with Client(self.home) as client:
            return acts.do(client, wanted)

    def _acted(self, told: str) -> None:
        self.view.say(told)
        self._rung = self._news = True

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, OrchError):
            raise error
        self.view.say(" ".join(filter(None, (error.message, error.hint))), badly=True)

    def _enter(self, wanted: Wanted) -> None:
        """Give the terminal to the session, or to a stream of it, and come back."""
        try:
            session = acts.running(self._client, wanted.task).session
            argv = foreground.attach_command(self.home, session)
            if wanted.act == "watch":
                argv = acts.watch_command(self.home, wanted.task)
            with self.terminal.lent():
                if wanted.act == "watch":
                    show.note(f"{wanted.task}: Ctrl-C comes back to the dashboard")
                code = foreground.run(argv)
        except OrchError as error:
            self._failed(error)
            return
        well = code in (0, 130, -2)
        self.view.say(f"back from {wanted.task}" if well else f"{argv[0]} failed ({code})",
                      badly=not well)  # fmt: skip
        self._rung = self._news = True

    # ---- signals -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """A resize ends the wait; who is told to leave gives the terminal back first."""
        handled = (signal.SIGWINCH, *GONE)
        before = {one: signal.signal(one, self._signalled) for one in handled}
        wakeup = signal.set_wakeup_fd(self._aside.ring_fd, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for one, handler in before.items():
                signal.signal(one, handler)

    def _signalled(self, number: int, _frame: object) -> None:
        if number == signal.SIGWINCH:
            self.terminal.forget()
            self._stale = True
        else:
            self._left = True


def _nothing(facts: Facts) -> OrchError:
    from orch.errors import NotRunning  # noqa: PLC0415 - the end

    told = facts.away.get("orchd", "orch is not running").removesuffix("; waiting for it")
    return NotRunning(told, "start it with `orch up -d`")
