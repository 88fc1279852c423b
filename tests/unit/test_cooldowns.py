"""What rests, and whom that keeps from work: an account that agents share, or one of them."""

import pytest

from orch.config.schema import AgentConfig, Config
from orch.core.cooldowns import Rests, named, whose, why
from orch.model import ErrorClass, Rest

E = ErrorClass
TEAM = Rest(account="team", until=100.0, reason="limit")
MODEL = Rest(account="team", model="big", until=200.0, reason="limit")
OUT = Rest(account="team", reason="auth: 401", broken=True)
GONE = Rest(agent="fast", reason="missing_tool: rg", broken=True)


@pytest.mark.parametrize(
    "rows, agent, account, expected",
    [
        ((TEAM,), "claude", "team", TEAM),
        ((TEAM,), "fast", "team", TEAM),
        ((TEAM,), "team", "other", None),
        ((TEAM,), "claude", "claude", None),
        ((MODEL,), "claude", "team", None),
        ((GONE,), "fast", "team", GONE),
        ((GONE,), "claude", "team", None),
        ((GONE,), "claude", "fast", None),
        ((OUT, TEAM), "claude", "team", OUT),
        ((TEAM, GONE), "fast", "team", GONE),
        ((TEAM, Rest(agent="fast", until=300.0)), "fast", "team", Rest(agent="fast", until=300.0)),
    ],
)
def test_an_agent_rests_with_its_account_or_by_itself(rows, agent, account, expected):
    rests = Rests(rows)
    assert rests.of(agent, account) == expected
    assert rests.broken(agent, account) is bool(expected and expected.broken)


def test_models_rest_for_everybody_of_an_account():
    rests = Rests((TEAM, MODEL, Rest(account="other", model="small", until=9.0)))
    assert rests.models("team") == {"big"}
    assert rests.models("claude") == frozenset()


def test_what_rests_is_told_for_each_agent_that_is_kept_from_work():
    users = [("fast", "team"), ("claude", "team"), ("codex", "codex"), ("claude", "team")]
    lost = Rest(account="gone", until=9.0)
    told = Rests((GONE, lost, MODEL)).told(users)
    assert [(one.agent, one.account, one.model) for one in told] == [
        ("", "gone", ""),
        ("claude", "team", "big"),
        ("fast", "", ""),
        ("fast", "team", "big"),
    ]


@pytest.mark.parametrize("error", list(E))
def test_only_what_is_wrong_with_the_program_itself_is_the_agents_own(error):
    own = error in (E.MISSING_TOOL, E.LAUNCH_FAILED)
    assert whose(error, "fast", "team") == (Rest(agent="fast") if own else Rest(account="team"))


@pytest.mark.parametrize(
    "rest, agent, text",
    [
        (TEAM, "claude", "rests with its account team for 40 s (limit)"),
        (TEAM, "team", "rests for 40 s (limit)"),
        (OUT, "claude",
         "is out of use with its account team until `orch agents --check` (auth: 401)"),
        (GONE, "fast", "is out of use until `orch agents --check` (missing_tool: rg)"),
    ],
)  # fmt: skip
def test_the_reason_names_the_account_where_it_is_called_otherwise(rest, agent, text):
    assert why(rest, agent, 60.0) == text


def test_names():
    assert [named("a", "a"), named("a", ""), named("a", "t"), named("", "t")] == [
        "a", "a", "a (account t)", "the account t",
    ]  # fmt: skip


def test_an_agent_that_names_no_account_has_its_own():
    agents = {"claude": AgentConfig(), "fast": AgentConfig(account="claude")}
    config = Config(agents=agents)
    found = [config.account_of(name) for name in ("claude", "fast", "unknown")]
    assert found == ["claude", "claude", "unknown"]
