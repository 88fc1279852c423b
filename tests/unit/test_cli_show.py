"""The printer: widths, times, sizes, and that nothing from outside steers the terminal."""

from __future__ import annotations

import json

import pytest

from orch.cli import show
from orch.cli.tail import parse_duration
from orch.errors import Malformed


@pytest.mark.parametrize(
    "at, text",
    [
        (0.0, None),
        (None, None),
        (1714564800.0, "2024-05-01T12:00:00.000Z"),
        (1714564800.1234, "2024-05-01T12:00:00.123Z"),
        (1714564800.9996, "2024-05-01T12:00:01.000Z"),
    ],
)
def test_times_are_rfc3339_in_milliseconds(at: float | None, text: str | None) -> None:
    assert show.rfc3339(at) == text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.0004, "0ms"),
        (0.85, "850ms"),
        (4.25, "4.2s"),
        (59, "59s"),
        (185, "3m 5s"),
        (7200, "2h"),
        (7800, "2h 10m"),
        (442800, "5d 3h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, text: str) -> None:
    assert show.duration(seconds) == text


@pytest.mark.parametrize(
    "count, text",
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (28311552, "27 MiB"),
        (1 << 60, "1048576 TiB"),
    ],
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert show.size(count) == text


def test_columns_line_up_whatever_the_width_of_their_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.table(["A", "B"], [["🦊🦊", "x"], ["abc", "y"], ["é", "z"]])
    assert capsys.readouterr().out == "A     B\n🦊🦊  x\nabc   y\né     z\n"


@pytest.mark.parametrize(
    "raw, shown",
    [
        ("two\nlines", "two lines"),
        ("\x1b[31mred", "�[31mred"),
        ("\x9b31m\u202e", "\\x9b31m\\u202e"),
        ("🦊é", "🦊é"),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_text_from_outside_cannot_steer_the_terminal(raw: str, shown: str) -> None:
    assert show.clean(raw) == shown


def test_what_is_too_wide_is_cut_between_characters() -> None:
    assert show.pad("🦊🦊🦊", 4) == "🦊… "
    assert show.pad("abcdef", 4) == "abc…"
    assert show.pad("ab", 4) == "ab  "


def test_an_error_is_a_document_or_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show.error(True, "NotFound", "no such task", "look")
    assert json.loads(capsys.readouterr().out) == {
        "error": {"class": "NotFound", "message": "no such task", "hint": "look"}
    }
    show.error(False, "NotFound", "no such task", "look")
    assert capsys.readouterr().err == "error: no such task\nhint: look\n"


def test_no_colour_leaves_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show.line(show.paint("text", "red") + show.state("done"))
    assert capsys.readouterr().out == "textdone\n"


@pytest.mark.parametrize(
    "text, seconds", [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1.5h", 5400)]
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10", "1x", "-5m", "1.2.3s", "h1"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_duration(text)
