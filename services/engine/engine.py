"""The engine: every desk over one ledger."""

from __future__ import annotations

from services.engine.preparing import Preparing


class Engine(Preparing):
    """Decides what happens to tasks: ledger ← dispatch ← endings ← attempts ← the desks.

    Each class on the way adds one concern; only `Ledger.write` changes the database.
    """
