"""`orch cost` and `orch metrics`: money, tokens, and how attempts went."""

from __future__ import annotations

import itertools
from typing import Any

import click

from orch.cli import complete, documents, show
from orch.cli.app import App
from orch.messages import Costs, GetCosts, GetMetrics
from orch.model import AgentRecord, Cost, Period

HEADS = {"agent": "AGENT", "model": "MODEL", "day": "DAY", "task": "TASK"}
SPAN = "7d"
"""Of which time `orch cost` tells unless another is named."""


@click.command()
@click.argument("id_", metavar="[ID]", required=False, default="", shell_complete=complete.tasks)
@click.option("--by", default="day", show_default=True, help="Any of agent,model,day,task.")
@click.option(
    "--since", default=SPAN, show_default=True, help="24h, 7d, 2w, today, 2026-11-01, or all."
)
@click.pass_obj
def cost(app: App, id_: str, by: str, since: str) -> None:
    """Show what agents cost, by day, agent, model or task; or what one task cost.

    Hours are counted back from now; days are whole days of the machine's time zone, today the last
    of them. An attempt counts on the day on which it ended; so do consultations: an agent asked who
    is to work on a task, or for a plan. A cost that nobody knows is not counted as nothing: it is
    marked.

    \b
    Example:
      orch cost --by agent,model --since 30d
      orch cost int-5
    """
    if id_:
        task_cost(app, id_)
        return
    span = "" if since == "all" else since
    found = app.ask(GetCosts(project=app.chosen_project, by=by, since=span), 60.0)
    if app.json:
        show.json(document(found))
        return
    began = f"since {show.moment(found.since)}" if found.since else "since the beginning"
    show.line(f"{show.paint('what agents cost', 'bold')} {began}")
    show.line()
    counts = ["ATTEMPTS", *(["CONSULTED"] if found.total.consultations else [])]
    show.table([*(HEADS[name] for name in found.by), *counts, *TOKENS], _rows(found), grow=0)
    _unpriced(found.total)


@click.command("cost")
@click.argument("id_", metavar="ID", shell_complete=complete.tasks)
@click.pass_obj
def of_task(app: App, id_: str) -> None:
    """Show what a task cost, attempt by attempt.

    What was asked about it apart from its attempts (who is to work on it, the plan for it) stands
    between them, by what it was.

    \b
    Example:
      orch task cost int-5
    """
    task_cost(app, id_)


def task_cost(app: App, id_: str) -> None:
    """Print what one task's attempts and consultations cost, and what its budget is."""
    found = app.ask(GetCosts(id=id_, project=app.project))
    if app.json:
        show.json(document(found))
        return
    show.line(show.paint(found.task, "bold"))
    show.line()
    numbers = itertools.count(1)
    each = [
        [str(next(numbers)) if one.attempts else one.kind, one.agent, one.model or "-",
         *_figures(one)]
        for one in found.rows
    ]  # fmt: skip
    show.table(
        ["ATTEMPT", "AGENT", "MODEL", *TOKENS],
        [*each, ["total", "", "", *_figures(found.total)]],
        grow=2,
    )
    limits = [f"{found.max_tokens:,} tokens"] if found.max_tokens else []
    limits += [show.money(found.max_usd)] if found.max_usd else []
    if limits:
        show.line()
        show.line(f"budget  {', '.join(limits)} (tokens in, out and written to a cache)")
    _unpriced(found.total)


TOKENS = ["IN", "OUT", "CACHE READ", "CACHE WRITE", "COST"]


def _rows(found: Costs) -> list[list[str]]:
    def counts(one: Cost) -> list[str]:
        asked = [f"{one.consultations:,}"] if found.total.consultations else []
        return [f"{one.attempts:,}", *asked, *_figures(one)]

    rows = [[*(getattr(one, name) or "-" for name in found.by), *counts(one)] for one in found.rows]
    lead = ["total", *[""] * (len(found.by) - 1)] if found.by else []
    return [*rows, [*lead, *counts(found.total)]]


def _figures(one: Cost) -> list[str]:
    used = one.usage
    tokens = (
        used.input_tokens,
        used.output_tokens,
        used.cache_read_tokens,
        used.cache_write_tokens,
    )
    money = show.money(used.usd) if used.usd is not None else ""
    if one.unpriced:
        money = f"{money} + ?" if money else "unknown"
    return [*(f"{count:,}" for count in tokens), money or "-"]


def _unpriced(total: Cost) -> None:
    if total.unpriced:
        some = "attempt or consultation" if total.consultations else "attempt"
        more = some.replace(" or", "s or") + "s"
        count = f"1 {some}" if total.unpriced == 1 else f"{total.unpriced:,} {more}"
        show.note(f"the price of {count} is not known; `prices` in config.yml can name it")


def document(found: Costs) -> dict[str, Any]:
    """The JSON of costs: `usd` is null where nothing is known, `unpriced` counts what is not."""
    known: dict[str, Any] = {
        "since": show.rfc3339(found.since),
        "until": show.rfc3339(found.until),
        "by": found.by,
        "rows": [{**_names(one, found.by), **_sums(one)} for one in found.rows],
        "total": _sums(found.total),
    }
    if found.task:
        limits = {"max_tokens": found.max_tokens or None, "max_usd": found.max_usd or None}
        known = {"id": found.task, **known, "budget": limits}
    return known


def _names(one: Cost, by: tuple[str, ...]) -> dict[str, str]:
    return {name: getattr(one, name) for name in by}


def _sums(one: Cost) -> dict[str, Any]:
    return {
        "attempts": one.attempts,
        "consultations": one.consultations,
        "unpriced": one.unpriced,
        **documents.usage(one.usage),
    }


@click.command()
@click.pass_obj
def metrics(app: App) -> None:
    """Show how attempts went in the last 24 hours and 7 days: success, durations, errors.

    Success is that of attempts which say something about the agent: not those that somebody
    stopped, that were lost, or that met a vendor's limit or a budget. The cost is that of
    consultations too (an agent asked who is to work on a task, or for a plan).

    \b
    Example:
      orch metrics --json | jq '.periods[0].agents'
    """
    found = app.ask(GetMetrics(), 60.0).periods
    if app.json:
        show.json({"periods": [_period_document(one) for one in found]})
        return
    for title, one in zip(("last 24 hours", "last 7 days"), found, strict=True):
        _print_period(title, one)


def _print_period(title: str, one: Period) -> None:
    counts = ", ".join(f"{n:,} {show.state(name or 'unknown')}" for name, n in one.outcomes.items())
    show.line(f"{show.paint(title, 'bold')}  {counts or 'no attempt ended'}")
    if not one.agents:
        show.line()
        return
    show.line()
    asked = any(agent.consultations for agent in one.agents)
    heads = ["ATTEMPTS", *(["CONSULTED"] if asked else [])]
    show.table(
        ["AGENT", *heads, "DONE", "SUCCESS", "P50", "P95", "COST"],
        [_agent_row(agent, asked) for agent in one.agents],
        grow=0,
    )
    if one.errors:
        show.line()
        errors = ", ".join(f"{n:,} {show.clean(name)}" for name, n in one.errors.items())
        show.line(f"errors  {errors}")
    show.line()


def _agent_row(one: AgentRecord, asked: bool) -> list[str]:
    rate = _rate(one)
    times = [show.duration(s) if s is not None else "-" for s in (one.p50_seconds, one.p95_seconds)]
    share = f"{rate:.0%}" if rate is not None else "-"
    counts = [f"{one.attempts:,}", *([f"{one.consultations:,}"] if asked else [])]
    return [one.agent, *counts, f"{one.done:,}", share, *times, show.money(one.usd)]


def _rate(one: AgentRecord) -> float | None:
    return one.done / one.judged if one.judged else None


def _period_document(one: Period) -> dict[str, Any]:
    return {
        "since": show.rfc3339(one.since),
        "attempts": one.attempts,
        "outcomes": one.outcomes,
        "errors": one.errors,
        "agents": [
            {
                "agent": agent.agent,
                "attempts": agent.attempts,
                "consultations": agent.consultations,
                "done": agent.done,
                "judged": agent.judged,
                "success_ratio": _rate(agent),
                "p50_seconds": agent.p50_seconds,
                "p95_seconds": agent.p95_seconds,
                "usd": agent.usd,
            }
            for agent in one.agents
        ],
    }
