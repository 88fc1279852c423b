"""Output as text: characters never cut, lines whole, escapes kept out."""

from __future__ import annotations

import base64
import random

import msgspec
import pytest

from orch.cli.lines import LONGEST_LINE, Characters, Rows, cut_bytes, plain
from orch.cli.live import output_line


@pytest.mark.parametrize(
    "data, cut",
    [
        (b"abc", 0),
        (b"", 0),
        ("é".encode(), 0),
        ("é".encode()[:1], 1),
        ("a€".encode()[:-1], 2),
        ("🦊".encode()[:1], 1),
        ("🦊".encode()[:3], 3),
        (b"\xff", 0),
        (b"\xc0", 0),
        (b"\x80\x80\x80\x80", 0),
        (b"\xf5\x80", 0),
    ],
)
def test_only_the_beginning_of_a_character_is_held_back(data: bytes, cut: int) -> None:
    assert cut_bytes(data) == cut


@pytest.mark.parametrize("seed", range(20))
def test_however_output_is_cut_its_lines_give_back_every_byte(seed: int) -> None:
    chance = random.Random(seed)
    whole = b"".join(
        chance.choice([b"plain ", "é€🦊".encode(), b"\xff\xfe", b"\xf0\x9f", b"\n", b"\x00\x1b["])
        for _ in range(200)
    )
    characters, lines, at = Characters(), [], 0
    while at < len(whole):
        size = chance.randint(1, 7)
        lines += [*characters.add(at, whole[at : at + size])]
        at += size
    lines += [*characters.rest()]

    given, expected = b"", 0
    for piece in lines:
        line = msgspec.json.decode(msgspec.json.encode(output_line("int-1", "s", 1, piece)))
        assert line["offset"] == expected
        exact = base64.b64decode(line["base64"]) if "base64" in line else line["text"].encode()
        given += exact
        expected += len(exact)
    assert given == whole


def test_valid_text_is_never_shown_broken_and_carries_no_base64() -> None:
    characters = Characters()
    data = "naïve 🦊 text".encode()
    pieces = [
        piece for at in range(len(data)) for piece in characters.add(at, data[at : at + 1])
    ] + [*characters.rest()]
    assert "".join(piece.text for piece in pieces) == "naïve 🦊 text"
    assert all(piece.exact is None for piece in pieces)


def test_after_a_gap_what_was_held_back_comes_first() -> None:
    characters = Characters()
    assert [*characters.add(0, b"a\xc3")] == [(0, "a", None)]
    assert [*characters.add(10, b"b")] == [(1, "�", b"\xc3"), (10, "b", None)]


def test_an_output_line_has_the_keys_of_the_contract() -> None:
    (piece,) = Characters().add(7, b"hi")
    assert set(output_line("int-1", "orch-int-1", 2, piece)) == {
        *("kind", "task", "session", "attempt", "offset", "text", "time"),
    }


def test_sessions_share_the_screen_line_by_line() -> None:
    rows = Rows(colours=False)
    printed = rows.add("a │ ", "one\ntw") + rows.add("b │ ", "eins\n") + rows.add("a │ ", "o\n")
    assert printed == "a │ one\nb │ eins\na │ two\n"


def test_an_unfinished_line_is_shown_after_a_while_and_goes_on_in_its_row() -> None:
    rows = Rows(colours=False)
    printed = rows.add("a │ ", "name? ") + rows.flush() + rows.add("a │ ", "ada\n")
    assert printed == "a │ name? ada\n"
    printed = rows.add("a │ ", "more? ") + rows.flush() + rows.add("b │ ", "x\n")
    assert printed == "a │ more? \nb │ x\n"
    assert rows.add("a │ ", "yes") + rows.finish("a │ ") == "a │ yes\n"
    assert rows.whole("event") == "event\n"


def test_a_line_without_end_is_not_held_back_for_ever() -> None:
    rows = Rows(colours=False)
    assert len(rows.add("a │ ", "x" * (LONGEST_LINE + 1))) > LONGEST_LINE


@pytest.mark.parametrize(
    "raw, shown",
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b[2J\x1b[1;1Hhome", "home"),
        ("10%\r50%\r100%\r", "100%"),
        ("bell\x07 back\x08", "bell back"),
        ("\x1b[?1049halternate\x1bM", "alternate"),
        ("\x1bP1;2|data\x1b\\after", "after"),
        ("tab\tstays", "tab\tstays"),
        ("half \x1b[", "half "),
    ],
)
def test_nothing_in_a_line_moves_the_cursor(raw: str, shown: str) -> None:
    assert plain(raw) == shown


def test_colours_stay_where_they_are_wanted_and_end_with_the_line() -> None:
    assert plain("\x1b[31mred\x1b[K", colours=True) == "\x1b[31mred\x1b[0m"
