"""The run of a command is started once, whatever is not known about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orch.config.schema import JobConfig
from orch.model import JobRun
from orch.paths import Home
from orch.session.launch import Result
from services.engine import job_work

JOB = JobConfig(
    id="nightly", schedule="@daily", type="bash", command=("bash", "-c", "true"), dir="x"
)


class Place:
    """A host that remembers what it was asked."""

    def __init__(self, sizes: dict[str, int], result: Result | None = None) -> None:
        self.sizes, self.result = sizes, result
        self.started: list[str] = []
        self.swept: list[str] = []

    def size(self, _folder: Path, name: str = "terminal.log") -> int:
        return self.sizes.get(name, 0)

    def read(self, _folder: Path, offset: int, limit: int, name: str = "terminal.log") -> bytes:
        return b"one\n\x1b[31mlast line\x1b[0m\n\n"[offset : offset + limit]

    def start(self, session: str, _folder: Path, _cwd: Path) -> None:
        self.started.append(session)

    def finished(self, _folder: Path) -> Result | None:
        return self.result

    def sweep(self, run: str) -> list[int]:
        self.swept.append(run)
        return []


@pytest.fixture
def run(tmp_path: Path) -> JobRun:
    home = Home(tmp_path)
    folder = job_work.folder_of(home, "octo/demo", "nightly", 7)
    return JobRun(
        project="octo/demo", job="nightly", due=60.0, run=7, type="bash", state="starting",
        session=job_work.session_name("nightly", 7), folder=str(folder),
    )  # fmt: skip


def launch(tmp_path: Path, host: Place, run: JobRun) -> None:
    job_work.launch(Home(tmp_path), host, run, JOB, tmp_path / "project")  # type: ignore[arg-type]


def test_a_run_is_started_with_its_order_its_limit_and_its_mark(tmp_path, run):
    host = Place({})
    launch(tmp_path, host, run)
    assert host.started == ["orch-job_nightly_7"]
    order = json.loads((Path(run.folder) / "launch.json").read_text())
    assert order["timeout_seconds"] == 600.0
    assert order["cwd"] == str(tmp_path / "project" / "x")
    assert order["run"] == f"{tmp_path}:job:7"
    assert order["env"]["ORCH_JOB_RUN"] == "7"


def test_a_run_that_once_began_is_never_started_again(tmp_path, run):
    host = Place({"session.json": 40})
    launch(tmp_path, host, run)
    assert host.started == []


def test_what_a_lost_run_left_is_ended_and_it_is_told_as_lost(tmp_path, run):
    host = Place({})
    came = job_work.collect(Home(tmp_path), host, run)  # type: ignore[arg-type]
    assert came.outcome == "lost"
    assert host.swept == [f"{tmp_path}:job:7"]


def test_what_a_run_came_to_is_its_last_line_without_colours(tmp_path, run):
    host = Place({"terminal.log": 40}, Result(ended_by="exit", exit_code=3))
    came = job_work.collect(Home(tmp_path), host, run)  # type: ignore[arg-type]
    assert (came.outcome, came.summary, came.exit_code) == ("failed", "exit code 3: last line", 3)
