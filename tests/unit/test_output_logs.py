"""What is published of each log, and what a reader makes of it, step by step."""

from __future__ import annotations

from pathlib import Path

import pytest

from orch.follow import Reader
from orch.messages import OutputSeen
from orch.model import Session
from services.capture.logs import Logs


class Host:
    """Logs in memory, by folder."""

    def __init__(self) -> None:
        self.logs: dict[str, bytes] = {}

    def size(self, folder: Path) -> int:
        return len(self.logs.get(str(folder), b""))

    def read(self, folder: Path, offset: int, limit: int) -> bytes:
        return self.logs.get(str(folder), b"")[offset : offset + limit]


class Desk:
    """The logs, what they published, and the sessions as the engine has them."""

    def __init__(self) -> None:
        self.host = Host()
        self.said: list[tuple[str, int, int, bytes]] = []
        self.logs = Logs(self.host, self._publish)  # type: ignore[arg-type]

    def _publish(self, event: OutputSeen) -> None:
        self.said.append((event.session, event.attempt, event.offset, event.data))

    def write(self, folder: str, data: bytes) -> None:
        self.host.logs[folder] = self.host.logs.get(folder, b"") + data

    def hear(self) -> list[tuple[str, int, int, bytes]]:
        while self.logs.flush():
            continue
        said, self.said = self.said, []
        return said


def session(name: str, attempt: int = 1, ended: bool = False) -> Session:
    return Session(
        session=name,
        task=name,
        attempt=attempt,
        agent="shell",
        folder=f"{name}.{attempt}",
        started_at=0.0,
        ended=ended,
    )


def test_at_the_first_look_old_sessions_go_on_and_new_ones_begin_later_at_zero() -> None:
    desk = Desk()
    desk.write("old.1", "grü".encode()[:-1])
    desk.write("over.1", b"past")
    desk.logs.learn([session("old"), session("over", ended=True)])
    assert desk.hear() == [("old", 1, 2, b"")]
    desk.write("new.1", b"hello")
    desk.logs.learn([session("old"), session("new")])
    assert desk.hear() == [("new", 1, 0, b"hello")]


def test_a_session_that_came_and_went_between_two_looks_is_published_whole() -> None:
    desk = Desk()
    desk.logs.learn([])
    desk.write("quick.1", b"done \xc3")
    desk.logs.learn([session("quick", ended=True)])
    assert desk.hear() == [("quick", 1, 0, b"done \xc3"), ("quick", 1, 6, b"")]
    desk.logs.learn([session("quick", ended=True)])
    assert desk.hear() == []


def test_half_a_character_waits_for_its_rest_and_is_let_go_by_the_look() -> None:
    desk = Desk()
    desk.logs.learn([])
    desk.logs.learn([session("a")])
    desk.write("a.1", "€".encode()[:2])
    assert desk.logs.nudged("a")
    assert desk.hear() == []
    desk.logs.nudged("a")
    desk.write("a.1", "€".encode()[2:] + b"x\xe2")
    assert desk.hear() == [("a", 1, 0, "€x".encode())]
    desk.logs.look()
    assert [told for told in desk.hear() if told[3]] == [("a", 1, 4, b"\xe2")]


def test_writes_without_a_nudge_are_found_by_comparing() -> None:
    desk = Desk()
    desk.logs.learn([])
    desk.logs.learn([session("a"), session("b")])
    desk.hear()
    desk.write("b.1", b"quiet")
    assert desk.hear() == []
    desk.logs.compare()
    assert desk.hear() == [("b", 1, 0, b"quiet")]
    assert not desk.logs.nudged("stranger")


def test_the_next_attempt_under_the_same_name_is_followed_beside_the_last() -> None:
    desk = Desk()
    desk.logs.learn([])
    desk.logs.learn([session("a")])
    desk.write("a.1", b"first")
    desk.logs.learn([session("a", ended=True), session("a", attempt=2)])
    desk.write("a.2", b"second")
    desk.logs.nudged("a")
    assert ("a", 1, 0, b"first") in (said := desk.hear())
    assert ("a", 2, 0, b"second") in said
    found = desk.logs.find("a")
    assert found is not None
    assert found.attempt == 2
    assert desk.logs.find("a", 1) is None or desk.logs.find("a", 1).ended  # type: ignore[union-attr]


def test_a_large_log_is_published_in_bounded_pieces_that_end_between_characters() -> None:
    desk = Desk()
    desk.logs.learn([])
    desk.logs.learn([session("a")])
    text = "aü€🎉".encode() * 50_000
    desk.write("a.1", text)
    desk.logs.nudged("a")
    said = desk.hear()
    assert b"".join(data for *_, data in said) == text
    for *_, data in said:
        assert len(data) <= 65536
        data.decode()


@pytest.mark.parametrize(
    ("offset", "data", "taken", "behind"),
    [
        (10, b"abc", b"abc", False),
        (8, b"abcd", b"cd", False),
        (5, b"abc", None, False),
        (11, b"abc", None, True),
        (10, b"", None, True),
        (99, b"", None, True),
    ],
)
def test_a_reader_takes_only_what_comes_next_and_asks_for_the_rest(
    offset: int, data: bytes, taken: bytes | None, behind: bool
) -> None:
    reader = Reader(session("a"), 10)
    reader.behind = False
    chunk = reader.take(OutputSeen("a", offset, data, 1))
    assert (chunk.data if chunk else None) == taken
    assert reader.behind == behind
    assert reader.position == 10 + len(taken or b"")


def test_a_reader_that_is_behind_takes_nothing_from_events() -> None:
    reader = Reader(session("a"), 10)
    assert reader.take(OutputSeen("a", 10, b"abc", 1)) is None
    assert reader.position == 10
