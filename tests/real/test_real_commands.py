"""gemini and qwen, configured word by word as README says, on whole tasks and at each failure."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.model import ErrorClass as E
from tests.real.table import Table, row
from tests.real.test_failures import NO_PORT, SCENARIOS
from tests.support.clis import MODEL, PRINTING, Stage, account
from tests.support.model_server import (
    HELPFUL,
    Edit,
    Fail,
    Read,
    Run,
    Say,
    Shell,
    Think,
    Usage,
    Write,
    turn,
)
from tests.support.real_agents import DONE, SLOW, Scene, configured, judged, shown, start
from tests.support.scratch_sessions import Sessions, sessions
from tests.support.world import World

USAGE = Usage(fresh=123, cache_read=4567, output=89, reasoning=10)
FAILURES = (
    *("401", "403", "404", "413", "429", "429 once", "500", "503", "context overflow"),
    *("cut stream", "reset connection", "nobody listens", "malformed stream", "stalled stream"),
    *("no answer", "output limit", "refusal", "empty answer", "an answer that is none"),
    "a page instead of an answer",
)
"""Those of all CLIs that these two are put to."""
OWN = {
    "gemini": {
        "no such key": ([Fail("no_key")], E.AUTH),
        "quota of a day": ([Fail("usage_limit")], E.USAGE_LIMIT),
        "429 for hours": ([Fail("e429", retry_after=10_800)], E.RATE_LIMIT),
        "502 as a page": SCENARIOS["502 as a page"],
    },
    "qwen": {},
}
"""More, of one CLI."""
ELSE = {
    ("gemini", "output limit"): E.INVALID_RESPONSE,  # neither CLI says why an answer ended
    ("gemini", "refusal"): E.INVALID_RESPONSE,
    ("qwen", "output limit"): E.INVALID_RESPONSE,
    ("qwen", "refusal"): E.INVALID_RESPONSE,
}
"""Where a CLI tells something else, and the class of that."""
ENDLESS = {"stalled stream", "no answer"}
"""What only a time limit ends."""
WAIT_SECONDS, LONGEST_SECONDS = 12, 240


@pytest.fixture
def made() -> Iterator[Sessions]:
    """A scratch home for sessions."""
    with sessions() as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "models", "helped"),
    [("gemini", ["gemini-scripted"], 0), ("gemini", [], 1), ("qwen", ["qwen-scripted"], 0)],
)
def test_a_whole_task_by_the_configuration_in_readme(name, models, helped, world: World, stage):
    run = stage.server.play(
        [
            turn(Think("A file first."), Say("I begin."), Write("hello.txt", "hi\n"), usage=USAGE),
            turn(Read("hello.txt"), usage=USAGE),
            turn(Edit("hello.txt", "hi", "hi there"), usage=USAGE),
            turn(Shell("cat hello.txt; echo by $ORCH_TASK"), usage=USAGE),
            turn(Say(f"So:\n```json\n{DONE}\n```"), usage=USAGE),
        ]
    )
    before = stage.astray()
    scene = Scene(world, stage, name, run, models=models)
    settings = scene.settings()
    assert settings
    task = scene.add()

    done = world.wait_for(task=task, status="done", seconds=SLOW)

    assert world.git("show", f"{done['branch']}:hello.txt") == "hi there\n"
    (attempt,) = done["attempts"]
    assert (done["summary"], attempt["outcome"]) == ("greeted", "done")
    figures = [attempt["usage"][f"{kind}_tokens"] for kind in ("input", "cache_read", "output")]
    helpers = HELPFUL.fresh * helped, HELPFUL.output * helped
    assert figures == [5 * 123 + helpers[0], 5 * 4567, 5 * 89 + helpers[1]]
    assert len(run.everything) == 5 + helped, "else gemini asks a small model how hard it is"
    assert [asked.model for asked in run.requests] == models * 5 or not models
    assert "Write hello.txt, please." in run.requests[0].text
    assert f"hi there\nby {task}" in run.requests[4].results[-1]
    assert scene.left(task) == []
    assert {path.name for path in Path(done["worktree"]).glob(".*")} == {".git", ".orch.yml"}
    assert scene.settings() == settings, "the person's settings are as they were"
    assert stage.astray() == before
    assert stage.server.strangers == []


@pytest.mark.parametrize("name", PRINTING)
def test_an_answer_that_cannot_be_read_is_asked_for_by_another_run(name, world: World, stage):
    run = stage.server.play([turn(Say("All is well."), usage=USAGE), turn(Say(DONE), usage=USAGE)])
    scene = Scene(world, stage, name, run, models=[MODEL[name]])
    task = scene.add()

    done = world.wait_for(task=task, status="done", seconds=SLOW)

    first, second = done["attempts"]
    assert (first["error_class"], second["outcome"]) == ("invalid_response", "done")
    assert "Write hello.txt, please." in run.requests[1].text, "it is told all again"
    assert "All is well." in run.requests[1].text
    assert len(run.requests) == 2


@pytest.mark.parametrize("name", PRINTING)
def test_a_long_prompt_arrives_whole(name, made, stage: Stage):
    run = stage.server.play([turn(Say(DONE))])
    prompt = f"{'Nothing to do here. ' * 10_000}\nEven at @{'end'} of /it.\n"

    verdict = judged(start(made, stage, name, run, prompt=prompt), name)

    assert verdict.ok, verdict
    assert prompt.strip() in run.requests[0].text


@pytest.mark.parametrize(
    ("name", "scenario"),
    [(name, scenario) for name in PRINTING for scenario in (*FAILURES, *OWN[name])],
)
def test_a_failure_has_its_class_and_consequence(name, scenario, made, stage: Stage, table: Table):
    steps, expected = OWN[name].get(scenario) or SCENARIOS[scenario]
    run = stage.server.play(steps)
    if scenario == "nobody listens":
        run = Run("nobody", f"http://127.0.0.1:{NO_PORT}", steps)
    limit = WAIT_SECONDS if scenario in ENDLESS else LONGEST_SECONDS
    began = time.monotonic()

    attempt = start(made, stage, name, run, timeout_seconds=limit)
    verdict = judged(attempt, name)

    seconds = time.monotonic() - began
    assert verdict.error == ELSE.get((name, scenario), expected), (verdict, shown(attempt))
    asked = 1 if scenario in ENDLESS else len(run.requests)
    table.check(row(name, scenario, verdict, asked), seconds)
    assert attempt.left == []


def test_gemini_in_a_folder_that_it_does_not_trust_says_so(made, stage: Stage):
    run = stage.server.play([turn(Say(DONE))])
    script = 'cat "$ORCH_PROMPT_FILE" | gemini -y --output-format stream-json'

    attempt = start(made, stage, "gemini", run, command=("sh", "-c", script))
    verdict = judged(attempt, "gemini")

    assert verdict.error is E.LAUNCH_FAILED, verdict
    assert "--skip-trust" in verdict.message
    assert run.requests == []


@pytest.mark.parametrize(
    ("name", "without", "told"),
    [("gemini", "GEMINI_API_KEY", "GEMINI_API_KEY"), ("qwen", "OPENAI_API_KEY", "API key")],
)
def test_without_a_login_it_is_out_of_use(name, without, told, made, stage: Stage):
    run = stage.server.play([turn(Say(DONE))])

    attempt = start(made, stage, name, run, env={without: ""})
    verdict = judged(attempt, name)

    assert verdict.error is E.AUTH, (verdict, shown(attempt))
    assert told in verdict.message
    assert run.requests == []


def test_a_program_that_is_not_there_is_missing(made, stage: Stage):
    run = stage.server.play([turn(Say(DONE))])

    attempt = start(made, stage, "qwen", run, env={"PATH": "/usr/bin:/bin"})

    verdict = judged(attempt, "qwen")
    assert verdict.error is E.MISSING_TOOL, verdict
    assert "not found" in verdict.message


@pytest.mark.parametrize("name", PRINTING)
def test_a_check_says_what_works(name, world: World, stage: Stage):
    lines, homes = "", {}
    for says, steps in {"answers": [turn(Say(DONE))], "auth": [Fail("e401")]}.items():
        homes[says] = world.root / says
        env = account(name, homes[says], stage.server.play(steps), retries=0)
        spec = configured(stage, name)
        lines += f"  {says}: {json.dumps({**spec, 'env': env | spec['env']})}\n"
    world.agents = lines
    world.configure()
    before = {says: settings(home) for says, home in homes.items()}
    inside = stage.network.inside() if stage.network else ()
    options = ("--agent", "answers", "--agent", "auth")

    ran = world.orch("agents", "--check", "--json", *options, ok=False, timeout=200, inside=inside)

    checks = {row["name"]: row["check"] for row in ran.json}
    assert (checks["answers"]["answers"], checks["auth"]["class"]) == (True, "auth"), checks
    assert {says: settings(home) for says, home in homes.items()} == before


def settings(home: Path) -> dict[str, str]:
    """A person's settings of these two, file by file."""
    files = [*home.glob(".gemini/*ettings*"), *home.glob(".qwen/*ettings*")]
    return {str(file): file.read_text() for file in files}


def test_gemini_that_still_retries_at_its_time_limit_has_the_class_of_that(made, stage: Stage):
    run = stage.server.play([Fail("e503")])

    verdict = judged(start(made, stage, "gemini", run, retries=9, timeout_seconds=12), "gemini")

    assert verdict.error is E.OVERLOADED, verdict
    assert len(run.requests) >= 2


@pytest.mark.parametrize("name", PRINTING)
def test_a_time_limit_ends_the_tool_too(name, made, stage: Stage):
    run = stage.server.play([turn(Shell("until test -e never; do sleep 0.2; done"))])

    attempt = start(made, stage, name, run, timeout_seconds=12)
    verdict = judged(attempt, name)

    assert verdict.error is E.TIMEOUT, (verdict, shown(attempt))
    assert len(run.requests) == 1
    assert attempt.left == []
    assert json.loads(DONE)["summary"] not in shown(attempt)
