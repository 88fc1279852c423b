"""Completion in the shells that a machine for `make real` has: zsh and fish (bash: make test)."""

from __future__ import annotations

import shutil

import pytest

from tests.support.shells import check
from tests.support.world import World


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_completion_script_works_in_a_real_shell(world: World, shell: str):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    check(world, shell)
