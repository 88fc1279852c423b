"""`orch tail`: every session and every event, prefixed and coloured, or as JSON lines."""

from __future__ import annotations

import sys
import threading
import time
from fnmatch import fnmatchcase

import click

from orch.cli import complete, documents, show
from orch.cli.app import App
from orch.cli.lines import Characters, Rows
from orch.cli.live import output_line
from orch.cli.task import told
from orch.errors import Malformed
from orch.follow import Chunk, Ended, Follow, Item, Logged
from orch.messages import EventsSince, GetTask
from orch.model import Event

PALETTE = ("cyan", "green", "yellow", "magenta", "blue", "red")
"""The colours that tell sessions apart."""

IDLE_SECONDS = 0.3
"""An unfinished line (a prompt) is shown when nothing has come for so long."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@click.command()
@click.option(
    "--task", "id_", default="", metavar="ID", shell_complete=complete.tasks, help="Of it alone."
)
@click.option(
    "--since", default="", metavar="SEQ|DURATION", help="Replay from there: 812, 10m, 2h."
)
@click.option("--from-start", is_flag=True, help="Replay all events and open sessions first.")
@click.option("--kind", "kinds", multiple=True, help="output, event, or an event's name: task_*.")
@click.pass_obj
def tail(app: App, id_: str, since: str, from_start: bool, kinds: tuple[str, ...]) -> None:
    """Follow every session and every event as they happen.

    \b
    Example:
      orch tail --since 10m
      orch tail --json --kind 'task_*' | jq -r .name
    """
    follow = Follow(app.client)
    task = app.ask(GetTask(id_, app.project)).task.key if id_ else ""
    seq, at = _beginning(app, since, from_start)
    items = follow.everything(seq, from_start=from_start or bool(since), since=at, task=task)
    printer: JsonPrinter | RowPrinter = JsonPrinter() if app.json else RowPrinter()
    with printer:
        for item in items:
            if wanted(item, kinds):
                printer.take(item)


def wanted(item: Item, kinds: tuple[str, ...]) -> bool:
    """Whether an item is of one of these kinds; no kinds means all."""
    if not kinds:
        return True
    if isinstance(item, Logged):
        return any(kind == "event" or fnmatchcase(item.event.name, kind) for kind in kinds)
    return "output" in kinds


def _beginning(app: App, since: str, from_start: bool) -> tuple[int | None, float | None]:
    """After which seq, and from which time on, to replay; None means from now on."""
    if not since:
        return (0, None) if from_start else (None, None)
    if not since.isdecimal():
        return None, time.time() - parse_duration(since)
    seq = int(since)
    found = app.ask(EventsSince(seq=max(seq - 1, 0), limit=1)).events
    return seq, found[0].at if found else time.time()


def parse_duration(text: str) -> float:
    """Seconds of `90s`, `10m`, `1h30m`, `2d`; raises `Malformed`."""
    total = 0.0
    number = ""
    for char in text:
        if char in UNITS and number:
            try:
                total += float(number) * UNITS[char]
            except ValueError:
                break
            number = ""
        else:
            number += char
    if number or not text or total < 0:
        raise Malformed(f"{text!r} is no duration", "write it like 90s, 10m, 1h30m or 2d")
    return total


class JsonPrinter:
    """Prints items as the JSON lines of the contract; characters are never cut."""

    def __init__(self) -> None:
        self._characters: dict[tuple[str, int], Characters] = {}

    def __enter__(self) -> JsonPrinter:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def take(self, item: Item) -> None:
        """Print one item; the end of a session prints what was held back of it."""
        if isinstance(item, Logged):
            show.json_line(documents.event(item.event))
            return
        key = item.session, item.attempt
        if isinstance(item, Chunk):
            characters = self._characters.setdefault(key, Characters())
            pieces = characters.add(item.offset, item.data)
        else:
            pieces = self._characters.pop(key, Characters()).rest()
        for piece in pieces:
            show.json_line(output_line(item.task, item.session, item.attempt, piece))


class RowPrinter:
    """Prints items for people: line by line, each with the name of its task before it."""

    def __init__(self) -> None:
        self._rows = Rows(show.colourful(sys.stdout))
        self._characters: dict[tuple[str, int], Characters] = {}
        self._prefixes: dict[str, str] = {}
        self._lock = threading.Lock()
        self._said = threading.Event()
        self._left = threading.Event()
        self._flusher = threading.Thread(target=self._flush_when_idle, daemon=True)

    def __enter__(self) -> RowPrinter:
        self._flusher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._said.set()
        self._flusher.join()

    def take(self, item: Item) -> None:
        """Print what an item completes."""
        with self._lock:
            if isinstance(item, Logged):
                show.write(self._rows.whole(self._event(item.event)))
            elif isinstance(item, Chunk):
                self._output(item)
            else:
                self._end(item)
        self._said.set()

    def _output(self, item: Chunk) -> None:
        characters = self._characters.setdefault((item.session, item.attempt), Characters())
        for piece in characters.add(item.offset, item.data):
            show.write(self._rows.add(self._prefix(item.task), piece.text))

    def _end(self, item: Ended) -> None:
        prefix = self._prefix(item.task)
        for piece in self._characters.pop((item.session, item.attempt), Characters()).rest():
            show.write(self._rows.add(prefix, piece.text))
        show.write(self._rows.finish(prefix))

    def _prefix(self, task: str) -> str:
        if task not in self._prefixes:
            colour = PALETTE[len(self._prefixes) % len(PALETTE)]
            self._prefixes[task] = show.paint(f"{task} │ ", colour)
        return self._prefixes[task]

    def _event(self, event: Event) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(event.at))
        name = show.clean(event.name)
        text = " ".join(filter(None, (event.task, name, told(event))))
        return f"{show.paint(f'{clock} •', 'dim')} {text}"

    def _flush_when_idle(self) -> None:
        """Show unfinished lines once nothing has come for a while."""
        while not self._left.is_set():
            self._said.wait()
            self._said.clear()
            while self._said.wait(IDLE_SECONDS) and not self._left.is_set():
                self._said.clear()
            with self._lock:
                printed = self._rows.flush()
                if printed:
                    show.write(printed)
