"""Fixtures that every level of the suite may use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.paths import scratch
from tests.support.world import World


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A private folder under /tmp, short enough for sockets; removed afterwards."""
    folder = scratch("ot-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def world() -> Iterator[World]:
    """A whole orch of its own: home, git repository, orchd. Nothing of it may outlive the test."""
    made = World()
    try:
        yield made
        made.check()
    finally:
        made.close()
