"""The engine: every desk over one ledger."""

from __future__ import annotations

from services.engine.queue import QueueDesk


class Engine(QueueDesk):
    """Decides what happens to tasks: ledger ← dispatch ← endings ← approvals ←
    takeovers ← attempts ← the desks.

    Each class on the way adds one concern; only `Ledger.write` changes the database.
    """
