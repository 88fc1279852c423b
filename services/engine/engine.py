"""The engine: every concern over one ledger."""

from __future__ import annotations

from services.engine.costs import CostDesk
from services.engine.free_models import FreeModels
from services.engine.garbage import GarbageDesk
from services.engine.hooks import HookDesk
from services.engine.jobs import JobDesk
from services.engine.plans import PlanDesk
from services.engine.preparing import Preparing
from services.engine.queue import QueueDesk
from services.engine.reports import ReportDesk
from services.engine.reviews import Reviews
from services.engine.routes import RouteDesk
from services.engine.spending import Spending


class Engine(
    QueueDesk,
    PlanDesk,
    FreeModels,
    Preparing,
    HookDesk,
    Spending,
    CostDesk,
    GarbageDesk,
    JobDesk,
    ReportDesk,
    RouteDesk,
    Reviews,
):
    """Decides what happens to tasks. Each base is one concern in a file of its own, and derives
    from no more than what it needs; all stand on `Ledger`, whose `write` alone changes the
    database. Where several have a say (`finish`, `dispatch`), `super()` passes it on, from the
    first named here to the last."""
