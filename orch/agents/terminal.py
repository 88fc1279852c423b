"""An interactive program in a terminal: its answer counts only from its output file."""

from __future__ import annotations

from orch.agents.command import Command


class Terminal(Command):
    """The protocol `terminal`: what is on its screen is for people, and never parsed."""

    session_protocol = "terminal"
    printed = False
