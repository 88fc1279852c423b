"""The typist by histories with a clock of its own: typed once, submitted truly, told honestly."""

from __future__ import annotations

import pytest

from orch.session.typist import Entry, Lines, Typist, clean, paste_mode


class Desk:
    """A typist (or lines), a program that reads, and what was answered."""

    def __init__(self, kind=Typist, objection=""):
        self.now = 0.0
        self.typist = kind(lambda text: objection)
        self.answers: list[tuple[str, str]] = []
        self.read = b""

    def offer(self, text: str, submit: bool = True, own: bool = False) -> None:
        entry = Entry(text, submit, lambda *told: self.answers.append(told), own=own)
        self.typist.offer(entry, self.now)

    def takes(self) -> bytes:
        """The program reads all there is; what it was."""
        taken = bytes(self.typist.out)
        self.typist.wrote(len(taken))
        self.read += taken
        self.typist.step(self.now)
        return taken

    def shows(self, data: bytes = b"x") -> None:
        self.typist.saw(data, self.now)
        self.typist.step(self.now)

    def after(self, seconds: float) -> None:
        """Time passes as the loop would let it: it sleeps until it is told to look again."""
        end = self.now + seconds
        while self.now < end:
            due = self.typist.step(self.now)
            self.now = min(end, max(due, self.now + 0.001)) if due is not None else end
        self.typist.step(self.now)


def test_draft_then_enter_then_reaction_is_submitted():
    desk = Desk()
    desk.shows(b"\x1b[?2004h")
    desk.offer("hi")
    assert desk.takes() == b"\x1b[200~hi\x1b[201~"
    desk.after(0.05)
    desk.shows()
    desk.after(0.05)
    assert desk.takes() == b""  # not before the program had time
    desk.after(0.2)
    assert desk.takes() == b"\r"
    assert desk.answers == []
    desk.after(0.1)
    desk.shows()
    assert desk.answers == [("submitted", "")]


def test_a_program_that_draws_all_the_time_gets_its_enter_all_the_same():
    desk = Desk()
    desk.offer("hi")
    desk.takes()
    for _ in range(40):
        desk.after(0.05)
        desk.shows()
        desk.takes()
    assert desk.read == b"hi\r"
    assert desk.answers == [("submitted", "")]


def test_a_mute_program_gets_enter_twice_the_text_once_and_the_sender_the_truth():
    desk = Desk()
    desk.offer("hi")
    for _ in range(100):
        desk.takes()
        desk.after(0.1)
    assert desk.read == b"hi\r\r"
    assert [state for state, _ in desk.answers] == ["queued"]
    assert "does not react" in desk.answers[0][1]


def test_a_program_that_does_not_read_is_told_at_once_and_typed_to_later():
    desk = Desk()
    desk.offer("hi")
    desk.after(1.1)
    assert [state for state, _ in desk.answers] == ["queued"]
    desk.after(60)
    assert desk.takes() == b"hi"
    desk.after(0.1)
    desk.shows()
    desk.after(0.5)
    assert desk.takes() == b"\r"
    assert len(desk.answers) == 1


def test_texts_wait_for_each_other():
    desk = Desk()
    desk.offer("one")
    desk.offer("two", submit=False)
    for _ in range(30):
        desk.takes()
        desk.after(0.1)
        desk.shows()
    assert desk.read == b"one\rtwo"
    assert desk.answers == [("submitted", "")] * 2


@pytest.mark.parametrize("kind", [Typist, Lines])
def test_too_many_texts_are_refused(kind):
    desk = Desk(kind)
    for n in range(70):
        desk.offer(str(n))
    assert 4 <= sum(state == "refused" for state, _ in desk.answers) <= 6


@pytest.mark.parametrize("kind", [Typist, Lines])
def test_an_objection_refuses_and_types_nothing(kind):
    desk = Desk(kind, objection="not now")
    desk.offer("hi")
    desk.after(5)
    assert (desk.answers, desk.takes()) == ([("refused", "not now")], b"")


@pytest.mark.parametrize("kind", [Typist, Lines])
def test_what_waits_when_the_agent_ends_is_refused(kind):
    desk = Desk(kind)
    desk.offer("hi")
    desk.typist.close()
    assert desk.answers == [("refused", "the agent has ended")]


def test_an_enter_that_ended_the_program_was_a_reaction():
    desk = Desk()
    desk.offer("/quit")
    desk.takes()
    desk.after(0.1)
    desk.shows()
    desk.after(0.3)
    assert desk.takes() == b"\r"
    desk.typist.close()
    assert desk.answers == [("submitted", "")]


@pytest.mark.parametrize(
    "keys, later, refused",
    [
        (b"hal", 0.0, True),
        (b"hal", 61.0, False),
        (b"hal\r", 0.0, False),
        (b"hal\x15", 0.0, False),
        (b"\x1b[A", 0.0, False),
        (b"\x1b[?62;22c", 0.0, False),
        (b"\x1b[I", 0.0, False),
    ],
)
def test_a_begun_line_of_a_person_keeps_others_out_for_a_while(keys, later, refused):
    desk = Desk()
    desk.typist.typed(keys, desk.now + 1.0)
    desk.now += 1.0 + later
    desk.offer("hi")
    assert (desk.answers[:1] == [("refused", "somebody is typing in this session")]) is refused


def test_lines_are_submitted_when_the_terminal_took_them():
    desk = Desk(Lines)
    desk.offer("hi")
    assert desk.answers == []
    assert desk.takes() == b"hi\n"
    assert desk.answers == [("submitted", "")]


def test_lines_that_nobody_reads_are_told_to_wait():
    desk = Desk(Lines)
    desk.offer("hi")
    desk.after(1.1)
    assert [state for state, _ in desk.answers] == ["queued"]
    assert desk.typist.step(desk.now) is None


@pytest.mark.parametrize(
    "text, becomes",
    [
        ("a\x1b[201~b", "a[201~b"),
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("\x00\x03\x04\x7f\x9b\x85tab\t", "tab\t"),
        ("ż😀\u200d", "ż😀\u200d"),
    ],
)
def test_control_characters_are_removed(text, becomes):
    assert clean(text) == becomes


@pytest.mark.parametrize(
    "output, before, after",
    [
        (b"\x1b[?2004h", False, True),
        (b"\x1b[?2004l", True, False),
        (b"\x1b[?1049;2004h", False, True),
        (b"\x1b[?2004h...\x1b[?2004l", False, False),
        (b"\x1b[?12004h", False, False),
        (b"2004h", False, False),
        (b"\x1b[?2004", True, True),
        (b"\x1b[?2004$p", True, True),
    ],
)
def test_the_paste_mode_is_followed(output, before, after):
    assert paste_mode(output, before) is after


def test_the_paste_mode_is_followed_over_a_cut():
    desk = Desk()
    desk.shows(b"text \x1b[?20")
    desk.shows(b"04h more")
    assert desk.typist.bracketed


def test_while_a_person_has_the_session_only_their_own_texts_are_typed():
    desk = Desk()
    desk.typist.hold("ada")
    desk.offer("from orch")
    desk.offer("from ada", own=True)
    assert desk.answers == [("queued", "ada has taken the session")]
    assert desk.takes() == b"from ada"
    desk.typist.typed(b"k", desk.now)
    assert desk.takes() == b"k", "the keyboard goes on"
    desk.typist.typed(b"\r", desk.now)
    for _ in range(30):
        desk.after(0.1)
        desk.shows()
        desk.takes()
    assert b"from orch" not in desk.read

    desk.typist.hold("")
    desk.after(0.1)

    assert desk.takes() == b"from orch"


def test_texts_that_wait_when_the_session_is_taken_are_told_so():
    desk = Desk()
    desk.offer("one")
    desk.offer("two")
    desk.typist.hold("ada")
    assert desk.answers == [("queued", "ada has taken the session")]
