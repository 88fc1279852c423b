"""Notices: what a person must know goes into the events log as `notice_given`, for `orch status`,
`orch tail`, hooks, and whatever else tells people."""

from __future__ import annotations

from typing import Any

from orch.core import notices
from orch.core.prompt import one_line
from orch.store import notices as told
from orch.store import tasks
from services.engine.ledger import Ledger


class Notices(Ledger):
    """Gives a notice beside each event that calls for one, in the same transaction."""

    def event(self, name: str, task: str = "", /, **data: Any) -> None:
        """See `Ledger.event`."""
        super().event(name, task, **data)
        if settled := notices.settled(name, data):
            told.settle(self.store, settled)
        notice = notices.of(name, task, data)
        if notice is None or not notices.wanted(self._level(task), notice):
            return
        if not notice.about or told.first(self.store, notice.about, self.now()):
            more = {"approval": notice.approval} if notice.approval else {}
            text = one_line(notice.text)
            super().event("notice_given", task, level=notice.level, text=text, **more)

    def once(self, about: str, name: str, task: str = "", /, **data: Any) -> None:
        """An event that is logged once for what it is about."""
        if told.first(self.store, about, self.now()):
            self.event(name, task, **data)

    def is_told(self, about: str) -> bool:
        """Whether something was told already: saves a transaction where it was."""
        return told.known(self.store, about)

    def _level(self, key: str) -> str:
        task = tasks.find(self.store, key) if key else None
        config = self.config_of(task.project) if task else self.loaded.config
        return config.notifications.level
