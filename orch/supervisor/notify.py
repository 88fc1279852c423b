"""Tells systemd how orchd is doing (sd_notify(3)): one datagram to the socket it named."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence

from orch.core.supervised import Service, State

SETTLED = (State.READY, State.DISABLED, State.BACKOFF, State.FAILING)
"""Where a service has come to something, good or bad."""

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What systemd tells orchd, and children must not see."""


class Notifier:
    """Sends states to `NOTIFY_SOCKET`; without one, says nothing."""

    def __init__(self) -> None:
        self.variables = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
        """Taken out of the environment, so that children do not speak for orchd."""
        self._address = self.variables.get("NOTIFY_SOCKET", "")
        usec = self.variables.get("WATCHDOG_USEC", "")
        meant = self.variables.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_seconds = int(usec) / 2e6 if usec.isdigit() and meant else None
        """How often `WATCHDOG=1` is due: half of what systemd allows."""
        self.told_ready = False
        self._status = ""

    def report(self, services: Sequence[Service]) -> None:
        """Say `READY=1` once every service has come to something, and how they are whenever that
        has changed. What has fallen once has come to something, though it starts again."""
        if not self._address:
            return
        unready = [one.name for one in services if one.state is not State.READY and one.wanted]
        well = sum(one.state is State.READY for one in services)
        status = f"STATUS={well} of {len(services)} services ready"
        status += f"; not: {', '.join(unready)}" if unready else ""
        if not self.told_ready and all(one.state in SETTLED or one.last_error for one in services):
            self.told_ready = True
            self.tell("READY=1", status)
        elif status != self._status:
            self.tell(status)
        self._status = status

    def tell(self, *states: str) -> None:
        """Send lines such as `READY=1`; a failure is systemd's loss, never ours."""
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.setblocking(False)
            sender.sendto("\n".join(states).encode(), address)
