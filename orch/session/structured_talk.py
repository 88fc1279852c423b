"""Talking with a structured agent: lines in, steps out, people's text and answers on their way.

Stands where `typist.Lines` stands for other agents: `out` is what is to be written to the agent,
an `Entry` is answered `submitted` when the agent says that it has read the text, and `queued` when
it has not yet (it reads it before its next model request).
"""

from __future__ import annotations

import json
import os

from orch.agents import render, stream
from orch.session.typist import MOST_WAITING, PATIENCE, QUEUED, REFUSED, SUBMITTED, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orch.agents.stream import Asked, Conversation, Step
    from orch.session.typist import Entry

MOST_LINE = 64 << 20
"""Bytes of one message; a longer one is kept in the record, but not understood."""
LINGER = 5.0
"""Seconds for which an agent may take up what it has not read, or leave, after its last message."""
MOST_SETTLED = 50
"""Settled questions that are remembered, for who looks only now and then."""
MOST_REASON = 300
"""Characters of a reason in that memory."""
YES, NO = {"y", "yes", "allow", "ok"}, {"n", "no", "deny"}


class Talk:
    """One conversation. `show` is given text for the pane, `note` what is to be kept: each message
    of the agent as it is, each that it was sent as `{"orch_sent": …}`, and what a person decided
    as `{"orch_decided": {question, allowed, by}}`. `closing` is true once
    nothing more will be said: when `out` is written, the agent's input may end. `task` is where
    people elsewhere answer what the agent asks ('' for nowhere). `spent` is called after each
    message by which the agent has used more."""

    def __init__(
        self,
        talk: Conversation,
        show: Callable[[str], None],
        note: Callable[[bytes], None],
        task: str = "",
    ) -> None:
        self.talk = talk
        self.settled: list[dict[str, object]] = []
        self._open: set[str] = set()
        self._task = task
        self.out = bytearray()
        self.closing = False
        self.spent: Callable[[], None] | None = None
        self._show = show
        self._note = note
        self._line = bytearray()
        self._skipping = False
        self._sent: dict[str, tuple[Entry | None, float]] = {}
        self._before: Step | None = None
        self._typed = b""
        self._quiet_since: float | None = None
        oneshot = isinstance(talk, stream.Oneshot)
        self._when = f"the agent reads it before its next {'turn' if oneshot else 'request'}"

    # ---- to the agent ------------------------------------------------------------------------

    def begin(self, prompt: str, now: float) -> None:
        """Give the agent its work."""
        sent = _id()
        self._sent[sent] = (None, now)
        self._say(self.talk.begin(prompt, sent))

    def offer(self, entry: Entry, now: float) -> None:
        """Take a text for the agent; answered when it was read, or after a while."""
        problem = self._objection(entry)
        if problem:
            entry.tell(REFUSED, problem)
            return
        sent = _id()
        self._sent[sent] = (entry, now)
        self._quiet_since = now
        self._show(render.typed(entry.text))
        self._say(self.talk.steer(entry.text, sent))

    def hold(self, by: str) -> None:
        """Somebody has taken the session, or left it: here nothing waits to be typed."""

    def interrupt(self) -> None:
        """Stop what the agent does; it then waits for a text. Once more, and it leaves."""
        if self.talk.state in (stream.WORKING, stream.ASKING):
            self._show("[interrupted: type what to do instead, or interrupt again to end]\n")
            self._say(self.talk.interrupt())
        elif self.talk.state == stream.WAITING:
            self._close()

    def decide(
        self, question: str, allowed: bool, reason: str, by: str = "", key: str = ""
    ) -> tuple[str, str]:
        """Settle a question ('' for the oldest); returns the state and the reason. `by` and `key`
        are kept with it: nobody and none for what was typed here."""
        asked = self.question if not question else self.talk.questions.get(question)
        if asked is None:
            known = "the agent does not ask that any more" if question else "the agent asks nothing"
            return REFUSED, known
        decided = {"question": asked.question, "allowed": allowed, "by": by}
        self._note(json.dumps({"orch_decided": decided}).encode() + b"\n")
        self._say(self.talk.answer(asked.question, allowed, reason))
        self._print(stream.Answered(asked.question, allowed, ": ".join(filter(None, (by, reason)))))
        self._settle(asked.question, allowed, by, reason, key)
        return SUBMITTED, ""

    def now(self) -> dict[str, object]:
        """What the agent does now, as `state.json` tells it (`orch.session.launch.State`)."""
        for question in self._open - self.talk.questions.keys():
            self._settle(question, None, "", "the agent does not ask it any more", "")
        self._open = set(self.talk.questions)
        return {**now_of(self.talk), "settled": self.settled}

    def typed(self, keys: bytes, now: float) -> None:
        """Somebody typed in the pane: each line is a text, or the answer to what is asked."""
        from orch.session.typist import Entry  # noqa: PLC0415 - only once somebody types

        *lines, self._typed = (self._typed + keys).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            text = clean(line.decode("utf-8", "replace")).strip()
            if not text:
                continue
            word, _, rest = text.partition(" ")
            asked = self.question
            if asked and asked.options:
                self.decide(asked.question, True, text)
            elif asked and word.lower() in YES | NO:
                self.decide(asked.question, word.lower() in YES, rest.strip())
            else:
                self.offer(Entry(text, True, self._told), now)

    def wrote(self, count: int) -> None:
        """So many bytes of `out` were written to the agent."""
        del self.out[:count]

    # ---- from the agent ----------------------------------------------------------------------

    def saw(self, data: bytes, now: float) -> None:
        """Output came: whole lines are messages."""
        self._quiet_since = now
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._take(data[start:end])
            start = end + 1
        self._keep(data[start:])

    @property
    def question(self) -> Asked | None:
        """The oldest question that is open."""
        return next(iter(self.talk.questions.values()), None)

    # ---- the clock ---------------------------------------------------------------------------

    def step(self, now: float) -> float | None:
        """Do what is due; returns when to look again."""
        due = []
        for entry, since in self._sent.values():
            if entry is None:
                continue
            if now - since >= PATIENCE:
                entry.tell(QUEUED, self._when)
            else:
                due.append(since + PATIENCE)
        if self.talk.state == stream.DONE:
            self._close()
        elif self.talk.over and self.talk.state == stream.WORKING:
            if self._quiet_since is None:
                self._quiet_since = now
            if now - self._quiet_since >= LINGER:
                self._close()
            else:
                due.append(self._quiet_since + LINGER)
        return min(due) if due else None

    def read_all(self) -> None:
        """Every text that waited has been given to the agent."""
        for sent in list(self._sent):
            self._print(stream.Heard(sent))

    def close(self) -> None:
        """The agent has ended: what it has not read is refused."""
        for entry, _ in self._sent.values():
            if entry is not None:
                entry.tell(REFUSED, "the agent has ended")
                self._show(f"[never read: {render.cut(entry.text)}]\n")
        self._sent.clear()
        self.out.clear()
        if self._line or self._skipping:
            self._note(bytes(self._line) + b"\n")
            self._line.clear()

    # ---- inside ------------------------------------------------------------------------------

    def _objection(self, entry: Entry) -> str:
        if self.closing or self.talk.state == stream.DONE:
            return "the agent has given its last answer"
        if not entry.submit:
            return "a structured agent has no draft: its text is submitted whole"
        if not entry.text.strip():
            return "the text is empty"
        return "too many texts wait already" if len(self._sent) >= MOST_WAITING else ""

    def _take(self, end: bytes) -> None:
        if self._skipping:
            self._skipping = False
            self._note(end + b"\n")
            return
        line = bytes(self._line) + end if self._line else end
        self._line.clear()
        self._note(line + b"\n")
        before = self.talk.used
        steps, back = self.talk.feed(line)
        for step in steps:
            self._print(step)
        if self.spent and self.talk.used is not before:
            self.spent()
        if back:
            self._say(back)

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of a message; one that grows without end is given up."""
        if self._skipping:
            self._note(rest)
        else:
            self._line += rest
            if len(self._line) > MOST_LINE:
                self._skipping = True
                self._note(bytes(self._line))
                self._line.clear()
                self._show(f"[a message of more than {MOST_LINE >> 20} MiB is not shown]\n")

    def _print(self, step: Step) -> None:
        if isinstance(step, stream.Heard):
            entry, _ = self._sent.pop(step.id, (None, 0.0))
            if entry is not None:
                self._show(f"{render.DIM}  (read by the agent){render.OFF}\n")
                entry.tell(SUBMITTED)
            return
        text = render.render(step, self._before)
        if isinstance(step, stream.Finished | stream.Failed) and self.talk.used:
            text += render.account(self.talk.used)
        if isinstance(step, stream.Asked) and self._task:
            text += render.elsewhere(self._task)
        if text:
            self._before = step
            self._show(text)

    def _say(self, data: bytes) -> None:
        if self.closing:
            return
        for line in data.splitlines():
            self._note(b'{"orch_sent": ' + line + b"}\n")
        self.out += data

    def _settle(self, question: str, allowed: bool | None, by: str, reason: str, key: str) -> None:
        """Remember how a question ended; `allowed` None: the agent took it back."""
        self._open.discard(question)
        known = {"by": by, "reason": render.cut(reason, MOST_REASON), "key": key}
        self.settled.append({"question": question, "allowed": allowed, **known})
        del self.settled[:-MOST_SETTLED]

    def _close(self) -> None:
        self._say(self.talk.closing())
        self.closing = True

    def _told(self, state: str, reason: str) -> None:
        if state == REFUSED:
            self._show(f"[not sent: {reason}]\n")


def now_of(talk: Conversation) -> dict[str, object]:
    """What a conversation can tell of what the agent does now."""
    asked = [one._asdict() for one in talk.questions.values()]
    return {
        "state": talk.state,
        "native_session": talk.session,
        "model": talk.model,
        "question": asked[0] if asked else None,
        "questions": asked,
        "used": talk.used._asdict() if talk.used else None,
    }


def _id() -> str:
    """A random UUID (RFC 9562, version 4)."""
    raw = bytearray(os.urandom(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
