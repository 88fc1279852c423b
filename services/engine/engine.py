"""The engine: every desk over one ledger."""

from __future__ import annotations

from services.engine.plans import PlanDesk


class Engine(PlanDesk):
    """Decides what happens to tasks: ledger ← dispatch ← endings ← approvals ←
    takeovers ← attempts ← the desks.

    Each class on the way adds one concern; only `Ledger.write` changes the database.
    """
