"""Fixtures of the tests that run the real agent CLIs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.paths import scratch
from tests.real.table import Table
from tests.support.clis import Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The installed CLIs and a model server, for all tests of this run."""
    with Stage() as opened:
        yield opened


@pytest.fixture
def ground() -> Iterator[Path]:
    """A private folder with `work` (a git repository with one commit) and `home` (empty)."""
    folder = scratch("oreal-")
    (folder / "home").mkdir()
    work = folder / "work"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for arguments in (["init", "-q", "-b", "main", str(work)], ["-C", str(work), *EMPTY_COMMIT]):
        subprocess.run([*git, *arguments], check=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


EMPTY_COMMIT = ["commit", "-q", "--allow-empty", "-m", "Begin"]


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    """What the CLIs are known to do; written anew at the end with ORCH_REAL_RECORD=1."""
    known = Table.read()
    yield known
    known.keep()
