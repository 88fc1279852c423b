"""Screens: what pyte lacks, what would upset it, and tmux as the judge of all of it."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.paths import scratch
from orch.tools.screen import MOST_BYTES, Resize, Shown, render, safe_start, tame
from services.capture.screens import resizes

SIZE = [Resize(0, 40, 8)]


def text(data: bytes, start: int = 0, **more: bool) -> str:
    return "\n".join(render(data, start, SIZE, **more).lines).rstrip()


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"hello\r\nworld", "hello\nworld"),
        ("漢字 grün 🎉 end".encode(), "漢字 grün 🎉 end"),
        ("✔️ checked".encode(), "✔ checked"),
        ("e\u0301te\u0301".encode(), "été"),
        (b"\x1b[1;39Hab\x1b[2;40H" + "漢".encode(), " " * 38 + "ab\n\n漢"),
        (b"main\r\n\x1b[?1049h\x1b[Hvim\x1b[?1049lback", "main\nback"),
        (b"main\x1b[?1049h\x1b[Hvim", "vim"),
        (b"\x1b[Hvim\x1b[?1049l\x1b[Hback", "back"),
        (b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        (b"\x1bPq#0;2~\x1b\\after", "after"),
        (b"\x1b[>4;2m\x1b[<u\x1b[=1u\x1b[?u\x1b[2 qtext", "text"),
        (b"\x1b[?5A\x1b[1;2;3A\x1b[9J\x1b[99999999Atext", "text"),
        (b"\x1b(0lqk\x1b(B lqk", "┌─┐ lqk"),
        (b"half \x1b[3", "half"),
        (b"half \xe2\x82", "half"),
        (b"\xff\xfe\x00\x80ok", "��\ufffdok"),
        (b"one\rtwo", "two"),
        (b"one\r\n\x1b[>5Atwo", "one\ntwo"),
        ("漢字漢字".encode() + b"\x1b[1;2Hx\x1b[1;5Hy", " x字y 字"),
    ],
)
def test_output_is_shown_as_a_terminal_shows_it(data: bytes, shown: str) -> None:
    assert text(data) == shown


def test_a_plain_log_has_line_feeds_alone() -> None:
    assert text(b"one\ntwo", plain=True) == "one\ntwo"
    assert text(b"one\ntwo") == "one\n   two"


def test_the_cursor_is_told_within_the_screen() -> None:
    assert render(b"x" * 40, 0, SIZE)[1:] == (0, 39)
    assert render(b"\x1b[3;5H", 0, SIZE)[1:] == (2, 4)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"\x1b[31mred\x1b[0m x", "\x1b[0;31mred\x1b[0m x"),
        (b"\x1b[1;4;7;9mall", "\x1b[0;1;4;7;9mall\x1b[0m"),
        (b"\x1b[38;5;196mA\x1b[0m", "\x1b[0;38;2;255;0;0mA\x1b[0m"),
        (b"\x1b[48;2;1;2;3mB", "\x1b[0;48;2;1;2;3mB\x1b[0m"),
        (b"\x1b[38:2::9:8:7mA", "\x1b[0;38;2;9;8;7mA\x1b[0m"),
        (b"\x1b[4:3;58:2::1:2:3mA\x1b[4:0mB", "\x1b[0;4mA\x1b[0mB"),
        (b"\x1b[58;5;3;91mA", "\x1b[0;91mA\x1b[0m"),
        (b"\x1b[58:5:3mA", "A"),
        (b"\x1b[41m \x1b[0m", "\x1b[0;41m \x1b[0m"),
    ],
)
def test_colours_are_kept_when_wanted(data: bytes, shown: str) -> None:
    assert render(data, 0, SIZE, ansi=True).lines[0] == shown


@pytest.mark.parametrize(
    ("data", "start", "begins"),
    [
        (b"from the start", 0, 0),
        (b"lf of a line\nnext", 5, 13),
        (b"1;31mred\x1b[0mtext", 5, 8),
        (b"\x1b[0mtext\n", 5, 0),
        ("€uro".encode()[1:], 5, 2),
        (b"old\x1b[?1049hnew", 5, 3),
        (b"old\x1bcnew", 0, 3),
        (b"line\n" * 1000, 0, 2005),
        (b"line\n" * 1000 + b"\x1b[A", 0, 0),
        (b"old\x1b[?1049hnew\x1b[?1049lmain", 0, 0),
    ],
)
def test_rendering_never_begins_inside_a_sequence_or_a_character(
    data: bytes, start: int, begins: int
) -> None:
    assert safe_start(data, start) == begins


def test_resizes_take_place_where_they_happened() -> None:
    sizes = [Resize(0, 10, 3), Resize(12, 20, 4)]
    shown = render(b"0123456789ab\r\n0123456789abcdef", 0, sizes)
    assert shown.lines == ("0123456789", "ab", "0123456789abcdef", "")
    assert len(render(b"x", 100, sizes).lines) == 4
    assert len(render(b"x", 0, [Resize(0, 100_000, 100_000)]).lines) == 300
    assert len(render(b"x", 0, []).lines) == 24


def test_sizes_are_found_from_the_end_of_a_long_timing_file(tmp_path: Path) -> None:
    timing = tmp_path / "terminal.timing"
    assert resizes(timing, 0) == []
    lines = ["t 1.0", "r 0.0 80 24"]
    for step in range(1, 60_000):
        lines.append(f"o {step / 100:.6f} {step * 10}")
        if step in (10, 50_000):
            lines.append(f"r {step / 100:.6f} {step % 97} 30")
    timing.write_text("\n".join(lines) + "\no 99")
    assert resizes(timing, 590_000)[-1] == Resize(500_000, 50_000 % 97, 30)
    assert resizes(timing, 300)[-2:] == [Resize(100, 10, 30), Resize(500_000, 45, 30)]
    assert resizes(timing, 0)[0] == Resize(0, 80, 24)


def test_the_quick_way_of_drawing_shows_what_the_slow_one_shows() -> None:
    chance = random.Random(13)
    for _ in range(30):
        words = [b"word ", b"\r\n", b"\x1b[3%dm" % chance.randrange(8), b"\x1b[A", b"x" * 50]
        data = b"".join(chance.choices(words, k=60))
        slow = b"\x1b(U\x1b(B\x1b)B\x0e" + data  # set G1 is used, so every run is translated
        assert render(data, 0, SIZE, ansi=True) == render(slow, 0, SIZE, ansi=True)


def test_rubbish_of_any_kind_is_shown_in_bounded_time() -> None:
    chance = random.Random(11)
    spice = b"\x1b[]()?;:<=>0123456789mHJKhlABCPr\x07\x0e\x0f\n\rxy\xc3\x28\xe2\x9b"
    for turn in range(10):
        size = 20_000
        data = chance.randbytes(size) if turn % 2 else bytes(chance.choices(spice, k=size))
        sizes = [Resize(0, 80, 24), Resize(9000, 20, 5), Resize(15_000, 120, 50)]
        shown = render(data, chance.choice([0, 77]), sizes, ansi=turn % 3 == 0)
        assert len(shown.lines) == 50
    began = time.process_time()
    render(bytes(chance.choices(spice, k=MOST_BYTES)), 5, SIZE)
    assert time.process_time() - began < 20


def test_nothing_that_is_let_through_upsets_the_emulator() -> None:
    """`tame` lets nothing through that pyte raises on: fed here without the net below it."""
    import pyte

    chance = random.Random(12)
    spice = "\x1b[[[??;;0123456789mHJKhlABCDEFGLMPXrdegsuc@`nqt()#78=>"
    for _ in range(300):
        screen = pyte.Screen(40, 8)
        stream = pyte.Stream(screen)
        stream.use_utf8 = False
        stream.feed(tame("".join(chance.choices(spice, k=400))))


@pytest.fixture(scope="module")
def tmux() -> Iterator[Path]:
    folder = scratch()
    server = ["tmux", "-S", str(folder / "t"), "-f", "/dev/null"]
    subprocess.run([*server, "new-session", "-d", "-s", "keep", "sleep 600"], check=True)
    yield folder
    subprocess.run(["tmux", "-S", str(folder / "t"), "kill-server"], check=False)
    shutil.rmtree(folder)


def as_tmux_shows(folder: Path, data: bytes) -> Shown:
    """What a real tmux pane of the same size shows after the same bytes."""
    server = ["tmux", "-S", str(folder / "t"), "-f", "/dev/null"]

    def ask(*words: str) -> str:
        return subprocess.run([*server, *words], check=True, capture_output=True, text=True).stdout

    (folder / "data").write_bytes(data)
    (folder / "done").unlink(missing_ok=True)
    show = f"stty raw; cat {folder}/data; touch {folder}/done; sleep 60"
    ask("new-session", "-d", "-s", "x", "-x", "40", "-y", "8", show)
    deadline = time.monotonic() + 20
    while not (folder / "done").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    seen, now = "", ask("capture-pane", "-p", "-t", "=x:")
    while seen != now and time.monotonic() < deadline:
        seen, now = now, ask("capture-pane", "-p", "-t", "=x:")
    row, column = map(int, ask("display", "-p", "-t", "=x:", "#{cursor_y} #{cursor_x}").split())
    ask("kill-session", "-t", "=x")
    lines = [line.rstrip() for line in now.split("\n")]
    return Shown(tuple((lines + [""] * 8)[:8]), row, min(column, 39))


STORIES = {
    "lines that scroll": "".join(f"line {n}\r\n" for n in range(30)).encode(),
    "a progress bar": b"".join(b"\r\x1b[K%d%% done" % n for n in range(0, 101, 10)),
    "a full screen": b"$ top\r\n\x1b[?1049h\x1b[2J\x1b[H\x1b[7mhead\x1b[0m\x1b[5;3Hbody\x1b[8Hend",
    "and out of it": b"$ top\r\n\x1b[?1049h\x1b[2J\x1b[5;3Hbody\x1b[?1049l$ next",
    "scroll region": b"\x1b[2;4r\x1b[4;1Ha\r\nb\r\nc\x1b[r\x1b[8;1Hend",
    "inserts and deletes": b"abcdef\x1b[1;3H\x1b[2@XY\x1b[2;1Hone\r\ntwo\x1b[2;1H\x1b[L\x1b[1P",
    "wide characters": "漢字漢字\r\n한국어 abc\r\n".encode() + "あ".encode() * 25,
    "wraps": b"0123456789" * 9,
    "tabs and backspaces": b"a\tb\tc\r\nabc\b\bX\r\n",
    "erases": b"aaaaaaaa\r\nbbbbbbbb\x1b[1;4H\x1b[1K\x1b[2;3H\x1b[0J",
    "cursor saved": b"\x1b[3;7H\x1b7\x1b[1;1Hhome\x1b8there",
    "colours with colons": b"\x1b[4:3m\x1b[58:2::255:0:0mcurly\x1b[0m plain",
    "titles and links": b"\x1b]2;title\x1b\\\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\ there",
    "box drawing": "╭────╮\r\n│ ok │\r\n╰────╯".encode(),
    "repositioning": b"\x1b[5;5Hx\x1b[2Ay\x1b[3Cz\x1b[1Ev\x1b[Fw\x1b[20Gu\x1b[6dt",
}


@pytest.mark.parametrize("story", STORIES)
def test_it_shows_what_tmux_shows(tmux: Path, story: str) -> None:
    assert render(STORIES[story], 0, SIZE) == as_tmux_shows(tmux, STORIES[story])
