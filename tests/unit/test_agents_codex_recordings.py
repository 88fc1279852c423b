"""Recorded runs of codex's app server, understood to their last message."""

from __future__ import annotations

from pathlib import Path

import pytest

from orch.agents import stream
from orch.agents.stream import Failed, Finished, Heard, TokensUsed, Unknown

RECORDINGS = Path(__file__).resolve().parents[1] / "golden" / "recordings" / "codex"


@pytest.mark.parametrize(
    ("name", "state", "used", "last"),
    [
        ("bash-approve", "done", TokensUsed(800, 100, 1600), Finished),
        ("longbash-steer", "done", TokensUsed(1200, 150, 2400), Finished),
        ("longbash-interrupt", "waiting", TokensUsed(400, 50, 800), Failed),
        ("usage-errors", "done", None, Failed),
        ("e401-errors", "done", None, Failed),
        ("cut-errors", "done", None, Failed),
    ],
)
def test_a_recorded_run_is_understood_to_its_last_message(name, state, used, last):
    it = stream.conversation("codex", {"permissions": "supervised"})
    it.begin("start the task", "u1")
    steps: list[stream.Step] = []
    for line in (RECORDINGS / f"appserver-{name}.out").read_bytes().splitlines():
        steps += it.feed(line)[0]
    assert Heard("u1") in steps
    assert not [step for step in steps if isinstance(step, Unknown)]
    assert [step for step in steps if isinstance(step, Finished | Failed)][-1:] == [
        step for step in steps if isinstance(step, last)
    ]
    assert (it.state, it.used) == (state, used)
