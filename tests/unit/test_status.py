"""The table of moves."""

import itertools

import pytest

from orch.core.status import MOVES, PHASES, check_move, check_phase
from orch.errors import Refused
from orch.model import Phase, Status


@pytest.mark.parametrize("old, new", list(itertools.product(Status, Status)))
def test_only_moves_of_the_table_are_allowed(old, new):
    if new in MOVES[old]:
        check_move("int-1", old, new)
    else:
        with pytest.raises(Refused, match="cannot become"):
            check_move("int-1", old, new)


def test_every_status_can_reach_done_and_leave_it_only_because_a_person_wants_it():
    reach = {Status.DONE}
    for _ in Status:
        reach |= {status for status in Status if MOVES[status] & reach}
    assert reach == set(Status)
    assert MOVES[Status.DONE] == {Status.NEW, Status.IN_REVIEW}


@pytest.mark.parametrize("old, new", list(itertools.product(Phase, Phase)))
def test_phases_only_go_forward(old, new):
    order = list(Phase)
    allowed = new in PHASES[old]
    assert not allowed or order.index(new) > order.index(old)
    if not allowed:
        with pytest.raises(Refused):
            check_phase(1, old, new)
