"""Routing by an agent: it is asked aside, once at a time for a task, and its answer is judged."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import msgspec
from msgspec.structs import asdict

from orch.agents.answer import objects
from orch.agents.question import Question, Reply, asking
from orch.config.schema import AgentConfig, Config
from orch.core import retry
from orch.core import router as core
from orch.core.cooldowns import named
from orch.core.routing import Field, passed_over, wanted
from orch.core.weights import FULL, limited
from orch.errors import ConfigError, Malformed, OrchError, Refused
from orch.messages import TaskRouted
from orch.model import Consultation, ErrorClass, Skill, Status, Task, Usage
from orch.paths import Home
from orch.service import Later
from orch.store import jobs, tasks
from orch.tools import question
from orch.tools.prompts import render
from services.engine.consulting import Consulting
from services.engine.dispatch import Dispatch
from services.engine.work import agent_spec

QUESTIONS = "questions"
"""The folder below the home's state in which questions are put, each in one of its own."""

MOST_QUESTIONS = 4
"""How many routers are asked at once: each takes a thread, and git needs some too."""

LATE_SECONDS = 30.0
"""How much longer than the router's own time limit a question may take: rendering, clearing up."""


class Asked(msgspec.Struct):
    """A question under way, and who waits for its outcome beside the dispatcher."""

    project: str
    agent: str
    names: tuple[str, ...]
    waiting: list[Later] = []


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """All that asking needs, as values: `names` are the agents to choose from."""

    home: Home
    repo: Path | None
    task: Task
    config: Config
    names: tuple[str, ...]
    skills: tuple[Skill, ...]
    folder: Path
    run: str


class Router(Consulting, Dispatch):
    """Asks the router agent. What is asked is kept in memory only: an engine that starts asks
    again, after it has ended what a dead one left running."""

    def setup(self) -> None:
        """Begin with no question under way."""
        self._asked: dict[str, Asked] = {}
        self._questions = 0
        super().setup()

    def on_swept(self) -> None:
        """What a dead engine asked is ended; its scratch folders go too."""
        shutil.rmtree(self.home.state / QUESTIONS, ignore_errors=True)
        super().on_swept()

    def asked_now(self) -> dict[str, tuple[str, str]]:
        """The tasks about which a router is being asked: project and the router's agent."""
        return {key: (asked.project, asked.agent) for key, asked in self._asked.items()}

    def needs_router(self, task: Task, config: Config, field: Field) -> bool:
        """Whether the router is asked about a new task: nobody named an agent that can be used, it
        has none from before, and the router can be asked and did not fail too often."""
        router = config.router
        if router.mode != "llm" or task.route_failures >= router.max_route_attempts:
            return False
        wish = wanted(task.labels, task.wanted_agent)
        if wish in config.agents and wish not in field.unavailable:
            return False
        if not field.available or self.kept(task, config, field) is not None:
            return False
        return not self.router_problem(config, field)

    def router_problem(self, config: Config, field: Field) -> str:
        """Why the router cannot be asked now; '' when it can."""
        name = config.router.agent
        spec = config.agents.get(name)
        if spec is None:
            return f"there is no agent {name}"
        if spec.protocol not in core.ASKABLE:
            return f"{name} cannot be asked (protocol {spec.protocol})"
        problem = field.unavailable.get(name, "")
        if problem:
            return f"{name} {problem}"
        model = core.model_of(config.router)
        if model in self.resting_models(name, config):
            return f"{model} of {named(name, config.account_of(name))} rests"
        return ""

    def why_not_asked(self, task: Task, config: Config, reason: str) -> str:
        """The reason of a choice, with why the router did not make it."""
        if config.router.mode != "llm" or not reason.endswith("round robin"):
            return reason
        if task.route_failures >= config.router.max_route_attempts:
            return f"{task.route_reason}; {reason}"
        problem = self.router_problem(config, self.field(config))
        return f"no router: {problem}; {reason}" if problem else reason

    # ---- asking ------------------------------------------------------------------------------

    def ask_router(self, task: Task, without: str = "", later: Later | None = None) -> None:
        """Ask about a task, aside; whoever waits is answered when it is routed, or why not."""
        asked = self._asked.get(task.key)
        if asked is None:
            if later is None and len(self._asked) >= MOST_QUESTIONS:
                return
            order = self._order(task, without)
            asked = Asked(task.project, order.config.router.agent, order.names)
            self._begin(order)
            self._asked[task.key] = asked
        if later is not None:
            asked.waiting.append(later)

    def _order(self, task: Task, without: str) -> Order:
        config = self.config_of(task.project)
        project = self.loaded.projects.get(task.project)
        self._questions += 1
        number = f"{self._questions}"
        return Order(
            home=self.home, repo=Path(project.path) if project else None,
            task=tasks.get(self.store, task.key), config=config,
            names=self.field(config).without(without).available,
            skills=tuple(self.catalogue(config).values()),
            folder=self.home.state / QUESTIONS / number,
            run=f"{self.home.root}:engine:{number}",
        )  # fmt: skip

    def _begin(self, order: Order) -> None:
        """Start the question. Raises `Refused` when too much slow work waits already."""
        key = order.task.key
        self.aside(
            lambda: put(order),
            lambda reply: self._replied(order, reply),
            lambda error: self._replied(order, failed(error)),
            timeout=order.config.router.timeout_seconds + LATE_SECONDS,
        )
        self.log.info("asking %s about %s", order.config.router.agent, key)

    # ---- what it said ------------------------------------------------------------------------

    def _replied(self, order: Order, reply: Reply) -> None:
        """Judge a reply, unless the task went elsewhere meanwhile."""
        asked = self._asked.pop(order.task.key)
        outcome: TaskRouted | OrchError
        try:
            with self.write():
                self._pay(order, reply)
                outcome = self._judged(order, reply)
        except OrchError as error:
            outcome = error
        for later in asked.waiting:
            later(outcome)
        self.stir()

    def _pay(self, order: Order, reply: Reply) -> None:
        """Count what a question has used, whatever became of its task meanwhile."""
        if reply.usage == Usage():
            return
        task, router = order.task, order.config.router
        one = Consultation(
            key=uuid.uuid4().hex, kind="route", project=task.project, task=task.key,
            agent=router.agent, model=core.model_of(router), usage=reply.usage,
        )  # fmt: skip
        used = self.keep_consultation(one)
        self.event("router_answered", task.key, agent=one.agent, model=one.model,
                   **asdict(used))  # fmt: skip

    def _judged(self, order: Order, reply: Reply) -> TaskRouted | OrchError:
        task = tasks.get(self.store, order.task.key)
        if task.status is not Status.NEW:
            return Refused(f"{task.key} is {task.status} meanwhile")
        config = self.config_of(task.project)
        if reply.error is not None:
            return self._unrouted(task, config, reply)
        usable = tuple(n for n in order.names if n in self.field(config).available)
        names = tuple(skill.name for skill in order.skills)
        try:
            decision = core.read(
                reply.text, objects(reply.text), usable, names, config.router.allowed_tools
            )
        except Malformed as error:
            failure = Reply(error=ErrorClass.INVALID_RESPONSE, message=error.message)
            return self._unrouted(task, config, failure)
        odd = core.warnings(task.labels, decision.agent, decision.profile.skills, bool(names))
        complexity = task.complexity or decision.complexity
        passed = passed_over(wanted(task.labels, task.wanted_agent), self.field(config))
        reason = f"{passed}{order.config.router.agent}: {decision.reason or 'chosen'}"
        self.set_route(
            task, config, agent=decision.agent, reason=reason, complexity=complexity,
            profile=decision.profile, route_warnings=(*odd, *decision.warnings),
        )  # fmt: skip
        return routed(tasks.get(self.store, task.key))

    def _unrouted(self, task: Task, config: Config, reply: Reply) -> OrchError:
        """Count a failed routing; a limit lets the router rest."""
        failures = task.route_failures + 1
        most = config.router.max_route_attempts
        reason = f"{config.router.agent} could not route it ({failures} of {most}): {reply.message}"
        tasks.update(
            self.store, task.key, self.now(), route_failures=failures, route_reason=reason,
            route_attempts=task.route_attempts + 1,
        )  # fmt: skip
        self.event("route_failed", task.key, agent=config.router.agent, reason=reason,
                   error_class=str(reply.error or ""))  # fmt: skip
        self._cool_router(config, reply)
        return Refused(reason, "`orch task get` shows how it is routed instead")

    def _cool_router(self, config: Config, reply: Reply) -> None:
        name, model, now = config.router.agent, core.model_of(config.router), self.now()
        account = config.account_of(name)
        if reply.error in retry.LIMITS:
            until = reply.retry_at or now + retry.LIMIT_SECONDS
            self.cool(account, "" if reply.whole_account else model, until, reply.message)
            weight = self.weights().get(name, FULL)
            jobs.set_weight(self.store, name, limited(weight), now)
        elif reply.error in core.BROKEN_ROUTER:
            self.mark_broken(reply.error, name, account, reply.message)
        elif reply.error is ErrorClass.MODEL_UNAVAILABLE and model:
            self.cool(account, model, now + retry.MODEL_SECONDS, reply.message)


def put(order: Order) -> Reply:
    """Put the question to the router, and wait for its reply. Slow."""
    config, router = order.config, order.config.router
    spec: AgentConfig = config.agents[router.agent]
    told = core.values(order.task, config.agents, order.names, order.skills, router.allowed_tools)
    prompt = render("route", told, order.home.prompt_places(order.repo))
    asked = Question(
        text=prompt.message, system=prompt.system, folder=str(order.folder), run=order.run,
        model=core.model_of(router),
    )  # fmt: skip
    return question.ask(asking(router.agent, agent_spec(spec), asked), router.timeout_seconds)


def failed(error: Exception) -> Reply:
    """A question that could not be put, as a reply: a broken template or configuration, a full
    disk. A bug is raised."""
    if not isinstance(error, OrchError | OSError):
        raise error
    message = error.message if isinstance(error, OrchError) else str(error)
    ours = ErrorClass.LAUNCH_FAILED if isinstance(error, ConfigError | Refused) else None
    return Reply(error=ours or ErrorClass.INFRASTRUCTURE, message=message)


def routed(task: Task) -> TaskRouted:
    """How a task is routed, as a reply."""
    return TaskRouted(
        task.key, task.agent, task.model, task.complexity, task.route_reason,
        task.route_warnings, task.status.value,
    )  # fmt: skip
