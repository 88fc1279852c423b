"""`orch task plan`: an agent proposes ordered steps to a goal; made when a person agrees."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import Any

import click

from orch.cli import complete, plan_text, show, whom
from orch.cli.app import App
from orch.cli.person import person
from orch.config.schema import Config
from orch.core import plan as plans
from orch.core.plan import Plan
from orch.core.router import strengths
from orch.errors import Malformed, NotFound, OrchError, Refused
from orch.messages import AddConsultation, AddPlan, GetTask, PlanAdded
from orch.model import Usage

ASKABLE = ("claude", "codex", "opencode", "command")
"""The protocols whose agents can be asked a question, those first that are taken first."""

MOST = 12
"""How many steps an agent may propose unless told otherwise."""

SECONDS = 900
"""How long it may take for one proposal: it looks at the project first."""

TITLE = 120
"""Characters of the goal that make the title of its task."""

SHOWN = 400
"""Characters of an unreadable reply that are shown to its author again."""


@click.command("plan")
@click.argument("text")
@click.option("--agent", default="", shell_complete=complete.agents, help="Who is to plan.")
@click.option("--model", default="", help="Its model; else that of complex tasks.")
@click.option(
    "--parent", default="", metavar="ID", shell_complete=complete.tasks,
    help="Below this task; else a new one holds the goal.",
)  # fmt: skip
@click.option(
    "--most", type=click.IntRange(1, plans.MOST_STEPS), default=MOST, show_default=True,
    help="How many tasks at most.",
)  # fmt: skip
@click.option("--timeout", type=click.IntRange(1), default=SECONDS, help="Seconds to wait for it.")
@click.option("--yes", is_flag=True, help="Create the tasks without asking.")
@click.pass_obj
def plan(app: App, /, text: str, parent: str, most: int, yes: bool, **asked: Any) -> None:
    """Have an agent plan a goal as ordered tasks; they are created once you agree.

    TEXT is the goal; `-` reads it from stdin. The agent may look at the project, and change
    nothing. Its tasks become children of one that holds the goal: that one runs when they are
    done, and judges the whole. With --json the plan is printed, and created only with --yes.

    \b
    Example:
      orch task plan "Let people log in with a passkey"
      orch task plan - --yes --json < goal.md
    """
    goal = sys.stdin.buffer.read().decode("utf-8", "replace") if text == "-" else text
    if not goal.strip():
        raise Malformed("the goal is empty", "say what is to be reached")
    project = app.need_project()
    if parent:
        parent = app.ask(GetTask(parent, project)).task.key
    asking = Planner(app, project, goal, parent, most=most, **asked)
    show.note(f"{asking.agent} plans (Ctrl-C gives up) …")
    proposed = asking.propose()
    key = uuid.uuid4().hex
    if app.json:
        added = asking.create(proposed, key) if yes else None
        show.json({**_document(proposed, asking.agent), "created": added and _made(added)})
        return
    _show(goal, proposed)
    agreed = proposed if yes else agree(goal, proposed, most, asking.agents)
    if agreed is None:
        show.note("nothing was created")
        return
    added = asking.create(agreed, key)
    show.line(f"{added.parent} holds the goal; created {', '.join(added.tasks)}")
    show.note(f"`orch task tree {added.parent}` shows them")


class Planner:
    """Asks one agent for a plan; once more where what it said cannot be used. What that cost is
    reported to the engine each time, whatever becomes of the plan."""

    def __init__(
        self, app: App, project: str, goal: str, parent: str, *,
        most: int, agent: str, model: str, timeout: int,
    ) -> None:  # fmt: skip
        loaded, self.config = whom.configured(app)
        if project not in loaded.projects:
            known = ", ".join(sorted(loaded.projects)) or "none"
            raise NotFound(
                f"the project {project} is not registered (known: {known})",
                "run `orch init` in its folder",
            )
        self.app = app
        self.home = app.home
        self.project = project
        self.parent = parent
        self.counted: list[str] = []
        self.folder = Path(loaded.projects[project].path)
        self.goal = goal
        self.most = most
        self.timeout = timeout
        self.agent = whom.choose(self.config, agent, ASKABLE, "plan")
        self.model = model or self.config.model_map.of("complex", self.agent)
        self.agents = tuple(self.config.agents)

    def propose(self) -> Plan:
        """The plan. Raises `OrchError` when the agent fails, or proposes nonsense twice."""
        prompt = self._prompt()
        said = self._ask(prompt)
        try:
            return self._read(said)
        except Malformed as problem:
            show.note(f"{self.agent} is asked once more: {show.clean(problem.message)}")
            again = (
                f"{prompt}\n\n# Once more\n\nYour last answer cannot be used: {problem.message}."
                f" It began:\n\n{said[:SHOWN]}\n\nAnswer with one JSON object only."
            )
        said = self._ask(again)
        try:
            return self._read(said)
        except Malformed as problem:
            raise OrchError(
                f"{self.agent} gave no plan that can be used: {problem.message}\n{said[:SHOWN]}",
                "say the goal more exactly, or take another agent with --agent",
            ) from None

    def _read(self, said: str) -> Plan:
        from orch.agents.answer import objects  # noqa: PLC0415 - only where something is asked

        return plans.read(objects(said), self.most, self.agents)

    def _prompt(self) -> str:
        from orch.core.outline import outline  # noqa: PLC0415 - and Jinja, only here
        from orch.tools import project  # noqa: PLC0415
        from orch.tools.prompts import render  # noqa: PLC0415

        values = {
            "goal": self.goal,
            "project": self.project,
            "agents": agents_of(self.config),
            "instructions": [
                {"name": name, "text": text} for name, text in project.instructions(self.folder)
            ],
            "tree": outline(project.files(self.folder)),
            "most": self.most,
        }
        return render("plan", values, self.home.prompt_places(self.folder)).message

    def _ask(self, prompt: str) -> str:
        from orch.agents.contract import AgentSpec  # noqa: PLC0415
        from orch.agents.question import Question, asking  # noqa: PLC0415
        from orch.tools.question import ask  # noqa: PLC0415

        agent = self.config.agents[self.agent]
        spec = AgentSpec(
            protocol=agent.protocol, command=agent.command, env=agent.env, models=agent.models
        )
        name = f"plan-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        folder = self.home.state / "internal" / name
        asked = Question(
            text=prompt, folder=os.fspath(folder), run=f"{self.home.root}:{name}",
            model=self.model, where=os.fspath(self.folder), looks=True,
        )  # fmt: skip
        reply = ask(asking(self.agent, spec, asked), self.timeout)
        self._count(reply.usage)
        if reply.error is not None:
            raise OrchError(
                f"{self.agent} gave no plan: {reply.message} ({reply.error})",
                "take another agent with --agent, or a longer --timeout",
            )
        return reply.text

    def _count(self, used: Usage) -> None:
        """Have the engine count what a question used; where it cannot, a person is told."""
        if used == Usage():
            return
        request = AddConsultation(
            project=self.project, kind="plan", agent=self.agent, model=self.model,
            task=self.parent, usage=used, key=uuid.uuid4().hex,
        )  # fmt: skip
        try:
            self.app.ask(request, 20.0)
        except OrchError as error:
            cost = f", {show.money(used.usd)} by its own figure" if used.usd is not None else ""
            tokens = f"{used.input_tokens:,} tokens in, {used.output_tokens:,} out{cost}"
            show.note(f"this is not in `orch cost`: {self.agent} used {tokens} ({error.message})")
        else:
            self.counted.append(request.key)

    def create(self, agreed: Plan, key: str) -> PlanAdded:
        """Create the tasks of a plan, once for each `key`."""
        first = next(line for line in self.goal.splitlines() if line.strip()).strip()
        title = first if len(first) <= TITLE else f"{first[: TITLE - 1]}…"
        body = "\n\n".join(part for part in (self.goal.strip(), agreed.summary) if part != title)
        request = AddPlan(
            project=self.project, tasks=agreed.tasks, title=title, body=body, parent=self.parent,
            author=person(), asked=tuple(self.counted), key=key,
        )  # fmt: skip
        return self.app.ask(request, 20.0)


def agents_of(config: Config) -> list[dict[str, str]]:
    """The agents that may be given work, as a prompt names them."""
    names = [name for name in config.agents if name not in config.router.disabled_agents]
    return [{"name": name, "strengths": strengths(name, config.agents[name])} for name in names]


def agree(goal: str, proposed: Plan, most: int, agents: tuple[str, ...]) -> Plan | None:
    """The plan that a person agrees to, perhaps changed in an editor; None for no."""
    try:
        terminal = Path("/dev/tty").open(encoding="utf-8", errors="replace")  # noqa: SIM115
    except OSError:
        raise Refused(
            "nothing was created: there is no terminal to ask on", "pass --yes to agree at once"
        ) from None
    with terminal:
        while True:
            count = len(proposed.tasks)
            sys.stderr.write(
                f"create {'this task' if count == 1 else f'these {count} tasks'}? [y/N/e] "
            )
            sys.stderr.flush()
            answer = terminal.readline().strip().lower()
            if answer in ("y", "yes"):
                return proposed
            if answer not in ("e", "edit"):
                return None
            proposed = plan_text.edited(proposed, most, agents) or proposed
            _show(goal, proposed)


def _show(goal: str, proposed: Plan) -> None:
    """Print the plan as a tree: the goal, and its tasks in their order."""
    show.line(show.cut(show.clean(goal.strip().splitlines()[0])))
    for lead, rest, colour, text in plan_text.lines(proposed):
        show.hanging(lead, [(show.clean(text), colour)], rest=rest)
    if proposed.summary:
        show.line()
        show.hanging("", [(show.clean(proposed.summary), "")])


def _document(proposed: Plan, agent: str) -> dict[str, Any]:
    return {
        "agent": agent,
        "summary": proposed.summary,
        "tasks": plans.documents(proposed.tasks),
    }


def _made(added: PlanAdded) -> dict[str, Any]:
    return {"parent": added.parent, "tasks": list(added.tasks)}
