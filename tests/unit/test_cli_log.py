"""Logs of services: the last lines of all by time, followed through rotation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orch.cli.log import Tail, read_line
from orch.cli.main import run


def entry(second: int, service: str, level: str = "info", **more: object) -> str:
    time = f"2024-05-01T12:00:{second:02d}.000Z"
    return json.dumps(
        {"time": time, "level": level, "service": service, "message": f"m{second}", **more}
    )


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCH_HOME", str(tmp_path))
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "engine.log").write_text(
        "".join(entry(n, "engine", "warning" if n == 2 else "info") + "\n" for n in (0, 2, 4))
    )
    (folder / "capture.log").write_text(f"{entry(1, 'capture', size=7)}\nnot json\n")
    return folder


def test_logs_are_merged_by_time(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["log"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["m0", "size=7", "json", "m2", "m4"]


@pytest.mark.parametrize(
    "words, messages",
    [
        (["log", "2"], ["m2", "m4"]),
        (["log", "engine", "-n", "1"], ["m4"]),
        (["log", "--level", "warning", "engine"], ["m2"]),
        (["log", "-n", "0"], []),
    ],
)
def test_the_lines_asked_for_are_json_with_json(
    logs: Path, capsys: pytest.CaptureFixture[str], words: list[str], messages: list[str]
) -> None:
    assert run([*words, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines] == messages


def test_an_unknown_log_names_those_there_are(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["log", "nobody"]) == 4
    assert "capture, engine" in capsys.readouterr().err


def test_following_goes_on_through_rotation_and_half_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("one\ntwo\nthr")
    tail = Tail(path)
    assert tail.last(1) == ["two"]
    with path.open("a") as file:
        file.write("ee\n")
    assert [*tail.added()] == ["three"]
    path.rename(tmp_path / "a.log.1")
    assert [*tail.added()] == []
    path.write_text("four, in a longer file\n")
    assert [*tail.added()] == ["four, in a longer file"]
    assert [*tail.added()] == []


def test_a_long_log_is_read_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{n} {'x' * 50}\n" for n in range(20_000)))
    assert [line.split()[0] for line in Tail(path).last(3)] == ["19997", "19998", "19999"]


def test_a_line_that_is_no_json_is_all_message() -> None:
    assert read_line("Traceback", "engine").message == "Traceback"
    assert read_line("[1]", "engine").message == "[1]"
