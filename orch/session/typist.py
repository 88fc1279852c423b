"""How text gets into an agent's terminal: exactly once, never as commands, and truly reported.

`Lines` serves programs that read lines (protocol command); `Typist` serves full-screen programs
(protocol terminal): paste, wait for the draft to show, press Enter as a key of its own, watch for
a reaction. Enter may be pressed twice, a text is never pasted twice. Both are driven by the clock
values they are given and write into `out`, which the session process feeds to the agent.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SUBMITTED, QUEUED, REFUSED = "submitted", "queued", "refused"
MOST_WAITING = 64
"""Texts that may wait for their turn; one more is refused."""
PATIENCE = 1.0
"""Seconds after which a text that the agent does not read is told to be waiting."""
DRAFT_WAIT, DRAFT_QUIET, DRAFT_MOST = 2.0, 0.1, 1.0
"""Seconds: for the draft to show at all; of silence that say it has; at most, once it shows."""
ENTER_DELAY = 0.15
"""Seconds between the text and Enter: programs take a faster Enter for a part of the paste."""
REACTION = 1.5
"""Seconds for the program to react to Enter."""
PERSON = 60.0
"""Seconds for which a line that somebody began to type keeps others out."""


def clean(text: str) -> str:
    """The text without control characters but newline and tab, so that none acts as a key."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f"))


class Entry:
    """A text on its way in; `answer(state, reason)` is called once. It is the `own` of whoever has
    taken the session, or another's."""

    def __init__(
        self, text: str, submit: bool, answer: Callable[[str, str], None], *, own: bool = False
    ) -> None:
        self.text = clean(text)
        self.submit = submit
        self.own = own
        self._answer = answer
        self._answered = False

    def tell(self, state: str, reason: str = "") -> None:
        """Answer, the first time only."""
        if not self._answered:
            self._answered = True
            self._answer(state, reason)


class Lines:
    """Text for a program that reads lines: written to its terminal with a newline at the end."""

    def __init__(self, objection: Callable[[str], str]) -> None:
        self.out = bytearray()
        self._objection = objection
        self._sent: deque[tuple[int, float, Entry]] = deque()
        self._written = 0
        self._asked = 0

    def offer(self, entry: Entry, now: float) -> None:
        """Take a text; it is answered when the terminal took it, or after a while."""
        problem = self._objection(entry.text)
        if not problem and len(self._sent) >= MOST_WAITING:
            problem = "too many texts wait already: the agent does not read its input"
        if problem:
            entry.tell(REFUSED, problem)
            return
        data = entry.text.encode("utf-8", "replace") + (b"\n" if entry.submit else b"")
        self.out += data
        self._asked = self._written + len(self.out)
        self._sent.append((self._asked, now, entry))

    def wrote(self, count: int) -> None:
        """So many bytes of `out` went into the terminal."""
        del self.out[:count]
        self._written += count

    def saw(self, data: bytes, now: float) -> None:
        """Output came; for a program that reads lines it says nothing."""

    def typed(self, keys: bytes, now: float) -> None:  # noqa: ARG002 - Typist needs it
        """Somebody typed in the pane: their line goes in, after what waits."""
        self.out += keys

    def hold(self, by: str) -> None:
        """Somebody has taken the session, or left it: here nothing waits to be typed."""

    def step(self, now: float) -> float | None:
        """Answer what can be answered; returns when to look again."""
        while self._sent and self._sent[0][0] <= self._written:
            self._sent.popleft()[2].tell(SUBMITTED)
        late = [entry for _, since, entry in self._sent if now - since >= PATIENCE]
        for entry in late:
            entry.tell(QUEUED, "the agent does not read its input now")
        waiting = [since for _, since, _ in self._sent if now - since < PATIENCE]
        return min(waiting) + PATIENCE if waiting else None

    def close(self) -> None:
        """The agent has ended: what still waits is refused."""
        for _, _, entry in self._sent:
            entry.tell(REFUSED, "the agent has ended")
        self._sent.clear()
        self.out.clear()


class Typist:
    """Text for a full-screen program, by the paste protocol of this module's first lines."""

    def __init__(self, objection: Callable[[str], str]) -> None:
        self.out = bytearray()
        self.bracketed = False
        self._objection = objection
        self._queue: deque[Entry] = deque()
        self._entry: Entry | None = None
        self._stage = ""
        self._since = 0.0
        self._first_output = self._last_output = 0.0
        self._enters = 0
        self._tail = b""
        self._person = 0.0
        self._held = ""

    def offer(self, entry: Entry, now: float) -> None:
        """Take a text; it is typed when those before it are done."""
        if len(self._queue) >= MOST_WAITING:
            entry.tell(REFUSED, "too many texts wait already")
        else:
            self._queue.append(entry)
            self.step(now)
            self._tell_held()

    def hold(self, by: str) -> None:
        """Somebody has taken the session ('' for nobody any more): others' texts wait."""
        self._held = by
        self._tell_held()

    def wrote(self, count: int) -> None:
        """So many bytes of `out` went into the terminal."""
        del self.out[:count]

    def saw(self, data: bytes, now: float) -> None:
        """Output came: it may be the draft, the reaction, or a switch of the paste mode."""
        if self._first_output <= self._since:
            self._first_output = now
        self._last_output = now
        seen = self._tail + data
        self._tail = seen[-24:]
        if b"2004" in seen:
            self.bracketed = paste_mode(seen, self.bracketed)

    def typed(self, keys: bytes, now: float) -> None:
        """Somebody typed in the pane: it passes through, and a begun line keeps others out."""
        self.out += keys
        if any(end in keys for end in (b"\r", b"\n", b"\x03", b"\x15")):
            self._person = 0.0
        elif not keys.startswith(b"\x1b") and any(key >= 32 for key in keys):
            self._person = now

    def step(self, now: float) -> float | None:
        """Do what is due; returns when to look again."""
        while self._advance(now):
            pass
        if self._entry is None:
            return None
        if self._stage in ("text", "enter"):
            return max(self._since + PATIENCE, now + 0.05)
        return now + 0.02

    def close(self) -> None:
        """The agent has ended: what was typed may have been its last, the rest is refused."""
        if self._entry and self._stage == "reaction":
            self._entry.tell(SUBMITTED)
        for entry in (self._entry, *self._queue):
            if entry:
                entry.tell(REFUSED, "the agent has ended")
        self._entry = None
        self._queue.clear()
        self.out.clear()

    def _advance(self, now: float) -> bool:
        if self._entry is None:
            return self._begin(now)
        if self._stage in ("text", "enter"):
            return self._wait_taken(self._entry, now)
        if self._stage == "draft":
            return self._wait_draft(self._entry, now)
        return self._wait_reaction(self._entry, now)

    def _tell_held(self) -> None:
        for entry in self._queue if self._held else ():
            if not entry.own:
                entry.tell(QUEUED, f"{self._held} has taken the session")

    def _begin(self, now: float) -> bool:
        entry = next((one for one in self._queue if one.own or not self._held), None)
        if entry is None:
            return False
        self._queue.remove(entry)
        problem = self._objection(entry.text)
        if self._person and now - self._person < PERSON:
            problem = "somebody is typing in this session"
        if problem:
            entry.tell(REFUSED, problem)
            return True
        text = entry.text.rstrip("\n") if entry.submit else entry.text
        data = text.encode("utf-8", "replace")
        if self.bracketed and data:
            data = b"\x1b[200~" + data + b"\x1b[201~"
        else:
            data = data.replace(b"\n", b"\r")
        self._entry, self._enters = entry, 0
        self.out += data
        self._go("text", now)
        return True

    def _wait_taken(self, entry: Entry, now: float) -> bool:
        """Until the terminal took what was written."""
        if self.out:
            if now - self._since >= PATIENCE:
                entry.tell(QUEUED, "the agent does not read its input now")
            return False
        self._go("draft" if self._stage == "text" else "reaction", now)
        return True

    def _wait_draft(self, entry: Entry, now: float) -> bool:
        """Until the text shows; then press Enter, if that is wanted."""
        waited, shown = now - self._since, self._first_output > self._since
        if shown:
            quiet = now - self._last_output >= DRAFT_QUIET
            ready = quiet or now - self._first_output >= DRAFT_MOST
        else:
            ready = waited >= DRAFT_WAIT or not entry.text
        if not ready or waited < ENTER_DELAY:
            return False
        if entry.submit:
            self._press(now)
        else:
            self._done(entry, shown, "typed, but the program does not show it yet")
        return True

    def _wait_reaction(self, entry: Entry, now: float) -> bool:
        """Until the program reacts to Enter; pressed once more if it does not."""
        if self._first_output > self._since:
            self._done(entry, True, "")
            return True
        if now - self._since < REACTION:
            return False
        if self._enters < 2:
            self._press(now)
        else:
            self._done(entry, False, "typed, and Enter pressed, but the program does not react")
        return True

    def _press(self, now: float) -> None:
        self.out += b"\r"
        self._enters += 1
        self._go("enter", now)

    def _done(self, entry: Entry, sure: bool, doubt: str) -> None:
        entry.tell(SUBMITTED if sure else QUEUED, "" if sure else doubt)
        self._entry = None
        self._stage = ""

    def _go(self, stage: str, now: float) -> None:
        self._stage, self._since = stage, now


def paste_mode(output: bytes, before: bool) -> bool:
    """Whether bracketed paste (DEC private mode 2004) is on after this output."""
    for part in output.split(b"\x1b[?")[1:]:
        digits = part[:24].partition(b"h")[0].partition(b"l")[0]
        switch = part[len(digits) : len(digits) + 1]
        if b"2004" in digits.split(b";") and switch in (b"h", b"l"):
            before = switch == b"h"
    return before
