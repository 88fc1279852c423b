"""`orch cost` and `orch metrics` as people read them, and as programs do."""

from __future__ import annotations

import json

import pytest

from orch.cli.app import App
from orch.cli.cost import cost, metrics
from orch.messages import Costs, GetCosts, Message, Metrics, Request
from orch.model import AgentRecord, Cost, Period, Usage

NOON = 1714564800.0


class Asked(App):
    """An App whose engine gives one answer, and that remembers what it was asked."""

    def __init__(self, answer: Message, *, as_json: bool = False) -> None:
        super().__init__(json=as_json, project="o/r")
        self.answer = answer
        self.requests: list[Request] = []

    def ask(self, request, timeout=5.0, to=""):
        """Answer, whatever is asked."""
        self.requests.append(request)
        return self.answer


def one(usd: float | None, unpriced: int = 0, **names: str) -> Cost:
    usage = Usage(input_tokens=1_234_567, output_tokens=89, cache_read_tokens=5, usd=usd)
    return Cost(attempts=2, unpriced=unpriced, usage=usage, **names)


def printed(command, answer: Message, *args: str, as_json: bool = False) -> Asked:
    app = Asked(answer, as_json=as_json)
    command.main(list(args), obj=app, standalone_mode=False)
    return app


SUMS = Costs(
    NOON, NOON + 60, ("agent", "model"),
    (one(12.5, agent="claude", model="opus"), one(None, 2, agent="x"), one(1.0, 1, agent="y")),
    one(13.5, 3),
)  # fmt: skip


def test_costs_are_a_table_in_which_the_unknown_is_not_nothing(capsys):
    app = printed(cost, SUMS, "--by", "agent,model", "--since", "24h")

    assert app.requests == [GetCosts(project="o/r", by="agent,model", since="24h")]
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()[2:]]
    assert rows[0] == ["AGENT", "MODEL", "ATTEMPTS", "IN", "OUT", "CACHE", "READ", "CACHE",
                       "WRITE", "COST"]  # fmt: skip
    assert rows[1] == ["claude", "opus", "2", "1,234,567", "89", "5", "0", "$12.50"]
    assert rows[2][-1] == "unknown"
    assert rows[3][-3:] == ["$1.00", "+", "?"]
    assert rows[4][0] == "total"
    assert "the price of 3 attempts is not known" in err


def test_all_means_from_the_beginning(capsys):
    app = printed(cost, Costs(0.0, NOON, ("day",), (), Cost()), "--since", "all")
    assert app.requests == [GetCosts(project="o/r", by="day", since="")]
    assert "since the beginning" in capsys.readouterr().out


def test_a_task_shows_its_attempts_and_its_budget(capsys):
    answer = Costs(NOON, NOON, ("agent",), SUMS.rows[:2], SUMS.total, "int-5", 5000, 2.0)
    app = printed(cost, answer, "int-5")
    assert app.requests == [GetCosts(id="int-5", project="o/r")]
    out = capsys.readouterr().out
    assert "budget  5,000 tokens, $2.00" in out
    assert [line.split()[0] for line in out.splitlines()[2:6]] == ["ATTEMPT", "1", "2", "total"]


def asked(usd: float | None, **names: str) -> Cost:
    unpriced = int(usd is None)
    return Cost(consultations=3, unpriced=unpriced, usage=Usage(input_tokens=7, usd=usd), **names)


def test_consultations_have_a_column_where_there_are_some(capsys):
    rows = (one(12.5, agent="claude"), asked(0.25, agent="guide"))
    total = Cost(attempts=2, consultations=3, unpriced=2, usage=Usage(usd=12.75))
    printed(cost, Costs(NOON, NOON, ("agent",), rows, total), "--by", "agent")
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()[2:]]
    assert lines[0][:4] == ["AGENT", "ATTEMPTS", "CONSULTED", "IN"]
    assert [line[:3] for line in lines[1:]] == [
        ["claude", "2", "0"], ["guide", "0", "3"], ["total", "2", "3"],
    ]  # fmt: skip
    assert "the price of 2 attempts or consultations is not known" in err


def test_what_was_asked_about_a_task_stands_between_its_attempts(capsys):
    rows = (asked(0.1, kind="plan"), asked(0.1, kind="route"), one(1.0, kind="work"),
            asked(0.2, kind="route"), one(1.0, kind="review"))  # fmt: skip
    answer = Costs(NOON, NOON, ("kind", "agent"), rows, Cost(), "int-5")
    printed(cost, answer, "int-5")
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()[3:]]
    assert shown == ["plan", "route", "1", "route", "2", "total"]
    printed(cost, answer, "int-5", as_json=True)
    told = json.loads(capsys.readouterr().out)["rows"]
    assert [row["kind"] for row in told] == ["plan", "route", "work", "route", "review"]
    assert [row["consultations"] for row in told] == [3, 3, 0, 3, 0]


def test_programs_get_null_for_what_is_not_known(capsys):
    printed(cost, SUMS, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["since"] == "2024-05-01T12:00:00.000Z"
    assert [(row["agent"], row["usd"], row["unpriced"]) for row in told["rows"]] == [
        ("claude", 12.5, 0), ("x", None, 2), ("y", 1.0, 1),
    ]  # fmt: skip
    assert told["total"]["usd"] == 13.5


PERIOD = Period(
    since=NOON, attempts=10, outcomes={"done": 6, "failed": 4}, errors={"timeout": 4},
    agents=(
        AgentRecord(agent="claude", attempts=10, done=6, judged=8, p50_seconds=2.0,
                    p95_seconds=90.0, usd=1.5),
    ),
)  # fmt: skip


def test_metrics_show_both_periods(capsys):
    printed(metrics, Metrics((Period(since=NOON), PERIOD)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "last 24 hours  no attempt ended"
    assert lines[2] == "last 7 days  6 done, 4 failed"
    assert lines[5].split() == ["claude", "10", "6", "75%", "2.0s", "1m", "30s", "$1.50"]
    assert lines[7] == "errors  4 timeout"


def test_metrics_show_who_was_only_asked(capsys):
    agent = AgentRecord(agent="guide", consultations=4, usd=0.25)
    period = Period(since=NOON, agents=(agent,))
    printed(metrics, Metrics((period, PERIOD)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:3] == ["AGENT", "ATTEMPTS", "CONSULTED"]
    assert lines[3].split() == ["guide", "0", "4", "0", "-", "-", "-", "$0.25"]


@pytest.mark.parametrize("judged, ratio", [(8, 0.75), (0, None)])
def test_success_is_a_share_of_what_can_be_judged(capsys, judged, ratio):
    agent = AgentRecord(agent="a", attempts=9, done=6 if judged else 0, judged=judged)
    period = Period(since=NOON, attempts=9, agents=(agent,))
    printed(metrics, Metrics((period, period)), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["periods"][0]["agents"][0]["success_ratio"] == ratio
