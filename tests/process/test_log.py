"""The structured log on a real file: lines, rotation, full disks."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch import log
from orch.log import FileHandler, Seldom


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "toy.log"


@pytest.fixture
def handler(path: Path) -> Iterator[FileHandler]:
    made = FileHandler(path, "toy")
    yield made
    made.close()


@pytest.fixture
def logger(handler: FileHandler) -> Iterator[logging.Logger]:
    made = logging.Logger("toy")
    made.addHandler(handler)
    yield made


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_record_is_one_line_of_json(logger, path):
    logger.info("started %d\nthings", 3, extra={"task": "int-5", "path": Path("/x")})

    [line] = lines(path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "info",
        "service": "toy",
        "message": "started 3\nthings",
        "task": "int-5",
        "path": "/x",
    }


def test_an_exception_is_in_the_line(logger, path):
    try:
        int("no")
    except ValueError:
        logger.exception("failed")

    [line] = lines(path)
    assert line["level"] == "error"
    assert "ValueError: invalid literal" in line["error"]


@pytest.mark.parametrize("odd", ["\udcff half", "\x00\x1b[31m", "x" * 1_000_000, object(), {1: 2}])
def test_anything_can_be_logged(odd, logger, path):
    logger.warning("%s", odd, extra={"odd": odd})

    [line] = lines(path)
    assert line["level"] == "warning"
    assert path.stat().st_size < 2 * log.MAX_LINE


def test_the_file_is_private_and_appended_to(logger, path):
    path.unlink()
    path.write_text('{"message": "older"}\n')
    log_of_another = FileHandler(path, "toy")
    log_of_another.emit(logging.makeLogRecord({"msg": "newer"}))
    log_of_another.close()

    assert [line["message"] for line in lines(path)] == ["older", "newer"]


def test_a_new_file_is_readable_by_its_owner_alone(handler, path):
    assert path.stat().st_mode & 0o777 == 0o600


def test_after_rotation_the_new_file_takes_the_lines(logger, handler, path):
    logger.warning("one")
    path.rename(path.with_suffix(".1"))
    logger.warning("two")
    handler.reopen()
    logger.warning("three")

    assert [line["message"] for line in lines(path.with_suffix(".1"))] == ["one", "two"]
    assert [line["message"] for line in lines(path)] == ["three"]


def test_a_full_disk_is_no_error_and_what_was_lost_is_said(tmp_path, path):
    path.symlink_to("/dev/full")
    handler = FileHandler(path, "toy")
    handler.emit(logging.makeLogRecord({"msg": "lost"}))
    handler.emit(logging.makeLogRecord({"msg": "lost too"}))
    path.unlink()
    handler.reopen()
    handler.emit(logging.makeLogRecord({"msg": "kept"}))
    handler.close()

    assert [line["message"] for line in lines(path)] == [
        "2 log lines could not be written",
        "kept",
    ]


def test_a_missing_folder_is_no_error(tmp_path):
    handler = FileHandler(tmp_path / "none" / "toy.log", "toy")
    handler.emit(logging.makeLogRecord({"msg": "lost"}))
    (tmp_path / "none").mkdir()
    handler.emit(logging.makeLogRecord({"msg": "kept"}))
    handler.close()

    assert lines(tmp_path / "none" / "toy.log")[-1]["message"] == "kept"


def test_a_torn_line_does_not_spoil_the_next(handler, path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.close(handler._fd)
    handler._fd = writer
    os.write(writer, b"x" * 63_000)
    handler.emit(logging.makeLogRecord({"msg": "t" * 5000}))
    torn = os.read(reader, 1 << 20)
    handler.emit(logging.makeLogRecord({"msg": "whole"}))
    after = os.read(reader, 1 << 20)
    os.close(reader)

    assert not torn.endswith(b"\n")
    assert after.startswith(b"\n")
    assert json.loads(after.splitlines()[-1])["message"] == "whole"


def test_what_happens_often_is_said_seldom(logger, path):
    often = Seldom(logger, seconds=3600)
    for n in range(1000):
        often.warning("garbage", "dropped", n=n)
    often.warning("other", "something else")

    assert [(line["message"], line["held_back"]) for line in lines(path)] == [
        ("dropped", 0),
        ("something else", 0),
    ]


def test_seldom_says_how_many_it_held_back(logger, path):
    often = Seldom(logger, seconds=0.0)
    often.warning("garbage", "dropped")
    often._seconds = 3600
    often.warning("garbage", "dropped")
    often._seconds = 0.0
    often.warning("garbage", "dropped")

    assert [line["held_back"] for line in lines(path)] == [0, 1]


def test_setup_replaces_what_a_parent_had_set_up(tmp_path):
    class Logs:
        def log(self, service: str) -> Path:
            return tmp_path / f"{service}.log"

    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    for handler in before:
        root.removeHandler(handler)
    try:
        log.setup(Logs(), "orchd")
        log.setup(Logs(), "engine", "debug")
        logging.getLogger("any").debug("hello")
        assert not (tmp_path / "orchd.log").read_text()
        assert lines(tmp_path / "engine.log")[0]["service"] == "engine"
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
            handler.close()
        for handler in before:
            root.addHandler(handler)
        root.setLevel(level)
