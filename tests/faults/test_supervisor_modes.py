"""What holds for forked services holds for executed ones: the same stories once more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process import test_supervisor, test_supervisor_upgrade
from tests.support.scratch_orchd import ScratchOrchd, scratch_orchd


@pytest.fixture
def orchd(request: pytest.FixtureRequest) -> Iterator[ScratchOrchd]:
    """An orchd that executes its services, started where the story begins with a running one."""
    with scratch_orchd("exec") as made:
        if request.function.__module__ == test_supervisor_upgrade.__name__:
            made.three().start().ready()
        yield made


for module in (test_supervisor, test_supervisor_upgrade):
    globals().update({name: one for name, one in vars(module).items() if name.startswith("test_")})
