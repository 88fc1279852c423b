"""What a person has made of the screen: cursor, filter, prompt; and what each key does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orch.cli.dashboard.facts import Facts, safe
from orch.core.approval import words
from orch.model import Approval, Session, Status, Task

ORDER = (
    Status.IN_PROGRESS,
    Status.NEEDS_REVIEW,
    Status.BLOCKED,
    Status.IN_REVIEW,
    Status.ROUTED,
    Status.NEW,
    Status.DONE,
)
"""How tasks are listed: what happens first, then what needs a person, then what waits."""

MOST_TEXT = 10_000
"""Characters that may be typed at a prompt."""


class Row(NamedTuple):
    """A line of the list: a heading (`kind` empty), or a question, session or task that can be
    chosen. A question's row is that of its session: which question it is, the detail tells."""

    kind: str
    name: str
    task: str = ""
    session: Session | None = None
    found: Task | None = None


class Wanted(NamedTuple):
    """What a key asked for: an act on a task, with the text and the question (its number) that
    go with it."""

    act: str
    task: str = ""
    text: str = ""
    question: str = ""


class Asking(NamedTuple):
    """A prompt in the last line: what happens with its answer, and whether it is yes or no."""

    act: str
    task: str
    label: str
    sure: bool = False
    question: str = ""


@dataclass
class View:
    """The screen as its person has set it. `chosen` is the kind and name of the row under the
    cursor; `page` the lines that the list has on the screen, set by who draws it."""

    all: bool = False
    chosen: tuple[str, str] = ("", "")
    top: int = 0
    page: int = 10
    help: bool = False
    filter: str = ""
    asking: Asking | None = None
    text: str = ""
    caret: int = 0
    told: str = ""
    told_badly: bool = False
    rows: Sequence[Row] = field(default_factory=tuple)
    asked: tuple[Approval, ...] = ()

    # ---- the list ----------------------------------------------------------------------------

    def update(self, facts: Facts) -> None:
        """List what there is now. The cursor stays on what it was on; where a session has ended
        it goes to its task, and where that is gone too, to the neighbour."""
        before, old = self.index(), self.row()
        self.asked = facts.asked
        self.rows = rows(facts, self.filter)
        places = [n for n, row in enumerate(self.rows) if row.kind]
        if not places:
            self.chosen = ("", "")
            return
        if self.index() < 0:
            task = old.task if old else ""
            same = [n for n in places if task and self.rows[n].task == task]
            self._choose(min(same or places, key=lambda n: abs(n - max(before, 0))))
        self._scroll()

    def index(self) -> int:
        """Where the cursor is in `rows`; -1 where it is on nothing."""
        for n, row in enumerate(self.rows):
            if row.kind and (row.kind, row.name) == self.chosen:
                return n
        return -1

    def row(self) -> Row | None:
        """The row under the cursor."""
        at = self.index()
        return self.rows[at] if at >= 0 else None

    def move(self, lines: int) -> None:
        """Move the cursor by so many rows, headings not counted."""
        places = [n for n, row in enumerate(self.rows) if row.kind]
        if places:
            at = places.index(self.index()) if self.index() in places else 0
            self._choose(places[max(0, min(at + lines, len(places) - 1))])
            self._scroll()

    def _choose(self, place: int) -> None:
        self.chosen = (self.rows[place].kind, self.rows[place].name)

    def _scroll(self) -> None:
        """Keep the cursor on the screen, and the heading above it where it is the first."""
        at = self.index()
        above = at - 1 if at > 0 and not self.rows[at - 1].kind else at
        self.top = min(self.top, above)
        self.top = max(self.top, at - self.page + 1, 0)
        self.top = max(0, min(self.top, len(self.rows) - self.page))

    # ---- keys --------------------------------------------------------------------------------

    def press(self, key: str) -> Wanted | None:
        """What a key does: changes the view, or (returned) asks for an act."""
        self.told = ""
        if key == "interrupt":
            return Wanted("quit")
        if self.asking:
            return self._answer(key)
        if self.help:
            self.help = False
            return None
        if key in MOVES:
            self.move(MOVES[key] * (self.page - 1 if key.startswith("page") else 1))
        elif key == "?":
            self.help = True
        elif key in ("q", "redraw"):
            return Wanted("quit" if key == "q" else "redraw")
        elif key == "A":
            self.all = not self.all
        elif key == "/":
            self._ask("filter", "", "show only what has", text=self.filter)
        elif key == "escape":
            self.filter = ""
        else:
            return self._act(key)
        return None

    def _act(self, key: str) -> Wanted | None:
        """A key that acts on the row under the cursor."""
        row = self.row()
        if key not in ACTS:
            return None
        if row is None:
            self.say("there is nothing to act on", badly=True)
            return None
        act = ACTS[key]
        if act in ("approve", "deny"):
            self._question(act, row.task)
            return None
        label = PROMPTS.get(act, "")
        if not label:
            return Wanted(act, row.task)
        self._ask(act, row.task, label.format(row.task), sure=act == "kill")
        return None

    def _question(self, act: str, task: str) -> None:
        """Show exactly what will be answered, and ask for the answer's rest."""
        mine = [one for one in self.asked if one.task == task]
        if not mine:
            self.say(f"{task} asks nothing that is known here", badly=True)
            return
        one = mine[0]
        said = safe(words(one.tool, one.text, one.options))
        if act == "deny":
            self._ask(act, task, f"deny {said}  reason:", question=str(one.id))
        elif one.options:
            self._ask(act, task, f"{said}  choose:", question=str(one.id))
        else:
            self._ask(act, task, f"allow {said} (y/N)", sure=True, question=str(one.id))

    def _ask(
        self, act: str, task: str, label: str, *, sure: bool = False, text: str = "",
        question: str = "",
    ) -> None:  # fmt: skip
        self.asking = Asking(act, task, label, sure, question)
        self.text, self.caret = text, len(text)

    def _answer(self, key: str) -> Wanted | None:
        """A key while a prompt is open."""
        asking = self.asking
        if asking is None or key == "escape":
            self.asking = None
            return None
        if asking.sure:
            self.asking = None
            if key in ("y", "Y"):
                return Wanted(asking.act, asking.task, question=asking.question)
            self.say("nothing was done")
            return None
        if key != "enter":
            self._edit(key)
            return None
        self.asking = None
        if asking.act == "filter":
            self.filter = self.text.strip()
            return None
        if asking.act == "send" and not self.text:
            self.say("nothing was sent")
            return None
        return Wanted(asking.act, asking.task, self.text, asking.question)

    def _edit(self, key: str) -> None:
        """A key that changes the text at the prompt."""
        text, at = self.text, self.caret
        if key == "backspace" and at:
            self.text, self.caret = text[: at - 1] + text[at:], at - 1
        elif key == "delete":
            self.text = text[:at] + text[at + 1 :]
        elif key == "clear":
            self.text, self.caret = text[at:], 0
        elif key == "word":
            begun = text[:at].rstrip().rpartition(" ")[0]
            begun += " " if begun else ""
            self.text, self.caret = begun + text[at:], len(begun)
        elif key in ("left", "right"):
            self.caret = max(0, min(at + (1 if key == "right" else -1), len(text)))
        elif key in ("home", "end"):
            self.caret = 0 if key == "home" else len(text)
        elif len(key) == 1 and key.isprintable():
            self.type(key)

    def type(self, text: str) -> None:
        """Put text in at the caret of the prompt; without a prompt nothing happens."""
        if self.asking and not self.asking.sure:
            text = text.replace("\r\n", "\n").replace("\r", "\n")[: MOST_TEXT - len(self.text)]
            self.text = self.text[: self.caret] + text + self.text[self.caret :]
            self.caret += len(text)

    def say(self, text: str, *, badly: bool = False) -> None:
        """Show a message in the last line, until the next key."""
        self.told, self.told_badly = safe(text), badly


MOVES = {
    "up": -1, "k": -1, "down": 1, "j": 1, "pageup": -1, "pagedown": 1,
    "home": -(10**6), "g": -(10**6), "end": 10**6, "G": 10**6,
}  # fmt: skip

ACTS = {
    "enter": "attach",
    "o": "attach",
    "v": "watch",
    "s": "send",
    "a": "approve",
    "d": "deny",
    "r": "retry",
    "n": "run",
    "u": "unblock",
    "K": "kill",
}
"""Keys that act on the row under the cursor."""

PROMPTS = {"send": "to {}:", "kill": "stop the attempt of {} that runs? (y/N)"}
"""Acts that ask for something first."""

HELP = (
    ("↑ ↓  k j", "move; PgUp PgDn, g G further"),
    ("Enter  o", "enter the session with tmux; Ctrl-b d comes back"),
    ("v", "watch its output from here on; Ctrl-C comes back"),
    ("s", "send text to the session (Enter sends, Esc does not)"),
    ("a", "allow what its agent asks: shown once more, then y, or the option to take"),
    ("d", "deny it; the agent is told the reason that is typed"),
    ("r", "retry: start the task over"),
    ("n", "run it next, ahead of the queue"),
    ("u", "unblock: let it go on"),
    ("K", "kill: stop the attempt that runs (asked first)"),
    ("/", "show only what has a text; Esc shows all again"),
    ("A", "show the tasks that are done, or hide them"),
    ("Ctrl-L", "draw everything again"),
    ("q  Ctrl-C", "leave; everything goes on"),
)
"""What the help shows."""


def rows(facts: Facts, wanted: str = "") -> list[Row]:
    """The list: what is asked, the sessions that run, the tasks, each under its heading."""
    titles = {task.key: task.title for task in facts.tasks}
    sessions = [
        Row("session", f"{one.session} {one.attempt}", one.task, session=one)
        for one in facts.sessions
        if _has(wanted, one.task, one.agent, titles.get(one.task, ""), facts.lines.get(one.session))
    ]
    questions = [
        Row("question", f"{one.session} {one.attempt}", one.task, session=one)
        for one in facts.sessions
        if one.asks and _has(wanted, one.task, one.agent, one.asks)
    ]
    place = {status: n for n, status in enumerate(ORDER)}
    tasks = [
        Row("task", one.key, one.key, found=one)
        for one in sorted(facts.tasks, key=lambda task: place[task.status])
        if _has(wanted, one.key, one.agent, one.title, one.status, one.project, *one.labels)
    ]
    found: list[Row] = []
    for title, group in (("QUESTIONS", questions), ("SESSIONS", sessions), ("TASKS", tasks)):
        if group or title == "TASKS":
            found += [Row("", f"{title} {len(group)}"), *group]
    return found


def _has(wanted: str, *texts: str | None) -> bool:
    return not wanted or any(wanted.casefold() in (text or "").casefold() for text in texts)
