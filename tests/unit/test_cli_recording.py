"""Recordings: their steps in time, and asciicasts of them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from orch.cli.recording import Recording, cast, play
from orch.errors import NotFound


def recorded(folder: Path, log: bytes, timing: str) -> Recording:
    (folder / "terminal.log").write_bytes(log)
    (folder / "terminal.timing").write_text(timing)
    return Recording(folder)


def test_a_cast_has_its_header_times_sizes_and_whole_characters(tmp_path: Path) -> None:
    log = "é\n€\n".encode()
    timing = "t 1714564800.5\nr 0.0 80 24\no 0.5 1\no 1.25 3\nr 2.0 100 30\no 3.0 7\n"

    lines = [json.loads(line) for line in cast(recorded(tmp_path, log, timing), "Say hello")]

    assert lines[0] == {
        "version": 2,
        "width": 80,
        "height": 24,
        "title": "Say hello",
        "timestamp": 1714564800,
        "env": {"TERM": "xterm-256color"},
    }
    assert lines[1:] == [[1.25, "o", "é\r\n"], [2.0, "r", "100x30"], [3.0, "o", "€\r\n"]]


@pytest.mark.parametrize("timing", ["", "t 1.0\no 0.1 2\no 0.", "nonsense\n", "o 0.1 99\n"])
def test_output_without_timing_is_played_whole(tmp_path: Path, timing: str) -> None:
    out = io.BytesIO()
    play(recorded(tmp_path, b"abcdef", timing), out.write, speed=1000, most_pause=0.01)
    assert out.getvalue() == b"abcdef"


def test_a_folder_without_recording_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Recording(tmp_path)
