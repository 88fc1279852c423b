"""Ranges of output: cut between characters, fitted to a reader's position, paced by load."""

from __future__ import annotations

import random

import pytest

from orch.core.output import CREDIT, LONGEST, SHORTEST, Pace, cut, fit, whole


@pytest.mark.parametrize(
    ("data", "held"),
    [
        (b"", 0),
        (b"plain", 0),
        ("grün".encode(), 0),
        ("€".encode(), 0),
        ("🎉".encode(), 0),
        ("grü".encode()[:-1], 1),
        ("€".encode()[:1], 1),
        ("€".encode()[:2], 2),
        ("🎉".encode()[:1], 1),
        ("🎉".encode()[:2], 2),
        ("🎉".encode()[:3], 3),
        (b"\xff", 0),
        (b"\x80\x80\x80\x80", 0),
        (b"\xc3(", 0),
        (b"abc\xf9", 0),
    ],
)
def test_only_a_character_that_has_begun_is_held_back(data: bytes, held: int) -> None:
    assert len(data) - whole(data) == held


def test_pieces_cut_from_text_are_text_and_together_the_whole() -> None:
    chance = random.Random(7)
    text = "".join(chance.choice("aä€🎉\n") for _ in range(3000)).encode()
    rest, pieces = text, []
    while rest:
        piece = cut(rest, chance.randint(4, 40))
        piece.decode()
        pieces.append(piece)
        rest = rest[len(piece) :]
    assert b"".join(pieces) == text


def test_a_limit_smaller_than_a_character_still_moves_on() -> None:
    assert cut("🎉🎉".encode(), 1) == b"\xf0"
    assert cut(b"\xff" * 9, 4) == b"\xff" * 4


@pytest.mark.parametrize(
    ("position", "offset", "data", "expected"),
    [
        (0, 0, b"abc", (0, 0, b"abc")),
        (5, 5, b"abc", (0, 5, b"abc")),
        (5, 8, b"abc", (3, 8, b"abc")),
        (5, 3, b"abcd", (0, 5, b"cd")),
        (5, 2, b"abc", (0, 5, b"")),
        (9, 2, b"abc", (0, 9, b"")),
        (5, 9, b"", (4, 9, b"")),
    ],
)
def test_a_reader_sees_what_lacks_and_what_is_new(
    position: int, offset: int, data: bytes, expected: tuple[int, int, bytes]
) -> None:
    assert fit(position, offset, data) == expected


def test_when_it_is_quiet_nothing_waits() -> None:
    pace = Pace()
    for step in range(200):
        now = 100.0 + step * 0.02
        assert pace.wait(now) == 0.0
        pace.published(now, now + 0.0001)


def test_a_burst_is_published_in_batches_and_ends_with_it() -> None:
    pace, now, published = Pace(), 100.0, 0
    while now < 101.0:
        if pace.wait(now) == 0.0:
            pace.published(now, now + 0.0001)
            published += 1
        now += 0.0005
    assert published <= 1.0 / SHORTEST + CREDIT
    assert published >= 0.5 / SHORTEST
    assert pace.wait(102.0) == 0.0
    pace.published(102.0, 102.0001)
    assert pace.wait(102.001) == 0.0


@pytest.mark.parametrize(("spent", "pause"), [(0.0001, SHORTEST), (0.01, 0.04), (1.0, LONGEST)])
def test_the_heavier_the_load_the_longer_the_pause_up_to_a_limit(
    spent: float, pause: float
) -> None:
    worked = Pace()
    now = 100.0
    for _ in range(30):
        worked.published(now, now + spent)
        now += spent
    assert worked.wait(now) == pytest.approx(pause)
