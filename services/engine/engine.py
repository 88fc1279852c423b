"""The engine: every desk over one ledger."""

from __future__ import annotations

from services.engine.spending import Spending


class Engine(Spending):
    """Decides what happens to tasks: ledger ← dispatch ← endings ← attempts ← the desks.

    Each class on the way adds one concern; only `Ledger.write` changes the database.
    """
