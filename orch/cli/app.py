"""What every command is given: home, project, JSON or text, and the way to the services."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from orch.errors import NotFound
from orch.messages import Message, Request
from orch.paths import Home

if TYPE_CHECKING:
    from orch.client import Client

R = TypeVar("R", bound=Message)

CONFIG_NAMES = (".orch.yml", ".orchestrator.yml")
"""The project's config file, and the name it had once."""


class App:
    """The global options of one invocation and what follows from them; all of it is lazy."""

    def __init__(self, *, json: bool = False, project: str = "", home: str = "") -> None:
        self.json = json
        self.chosen_project = project
        self.chosen_home = home

    @cached_property
    def home(self) -> Home:
        """The home chosen by `--home`, `ORCH_HOME`, or the usual one."""
        return Home(self.chosen_home or None)

    @cached_property
    def client(self) -> Client:
        """The way to the services; asking raises `NotRunning` where there is no orchd."""
        from orch.client import Client  # noqa: PLC0415 - zmq, for commands that ask

        return Client(self.home)

    def ask(self, request: Request[R], timeout: float = 5.0, to: str = "") -> R:
        """The reply of the service that owns the request; raises the error it answered."""
        return self.client.ask(request, timeout=timeout, to=to)

    @cached_property
    def project(self) -> str:
        """The slug given by `--project` or found from the current folder; '' when there is none."""
        if self.chosen_project:
            return self.chosen_project
        found = find_config()
        if not found:
            return ""
        from orch.cli.here import slug  # noqa: PLC0415 - YAML, only where there is a project

        return slug(self.home, found)

    def need_project(self) -> str:
        """`project`, where a command cannot do without; raises `NotFound`."""
        if self.project:
            return self.project
        raise NotFound(
            "there is no project here",
            "go to a project's folder, pass `--project owner/repo`, or make one by `orch init`",
        )


def find_config(start: str = "") -> str:
    """The path of the nearest project config from `start` upwards; '' when there is none."""
    try:
        folder = start or os.getcwd()  # noqa: PTH109 - the current folder may be gone
    except OSError:
        return ""
    while True:
        for name in CONFIG_NAMES:
            path = os.path.join(folder, name)  # noqa: PTH118 - on the fast path
            if os.path.isfile(path):  # noqa: PTH113
                return path
        parent = os.path.dirname(folder)  # noqa: PTH120
        if parent == folder:
            return ""
        folder = parent
