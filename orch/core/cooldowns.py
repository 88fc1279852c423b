"""What rests, and for whom: the account that agents share, or one agent by itself."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from orch.model import ErrorClass, Rest

OWN = frozenset({ErrorClass.MISSING_TOOL, ErrorClass.LAUNCH_FAILED})
"""What breaks the agent itself, however good its account is."""


class Rests(msgspec.Struct, frozen=True):
    """All that rests now."""

    rows: tuple[Rest, ...]

    def of(self, agent: str, account: str) -> Rest | None:
        """What keeps an agent from any work: what is broken, else what lasts longest; None when it
        may work."""
        found = [one for one in self.rows if not one.model and _concerns(one, agent, account)]
        return max(found, key=lambda one: (one.broken, one.until), default=None)

    def models(self, account: str) -> frozenset[str]:
        """The models of an account that rest."""
        return frozenset(one.model for one in self.rows if one.account == account and one.model)

    def broken(self, agent: str, account: str) -> bool:
        """Whether an agent is out of use until a check passes."""
        return any(one.broken and _concerns(one, agent, account) for one in self.rows)

    def told(self, users: Iterable[tuple[str, str]]) -> tuple[Rest, ...]:
        """What rests, once for each agent that is kept from work by it, by their names; `users`
        are agents with their accounts. An account that nobody uses any more stands alone."""
        known = sorted(set(users))
        found: list[Rest] = []
        for one in self.rows:
            agents = [agent for agent, account in known if _concerns(one, agent, account)]
            if one.account:
                found += [msgspec.structs.replace(one, agent=agent) for agent in agents or [""]]
            else:
                found.append(one)
        return tuple(sorted(found, key=lambda one: (one.agent, one.account, one.model)))


def whose(error: ErrorClass | None, agent: str, account: str) -> Rest:
    """What breaks by an error: the account, or the agent by itself."""
    return Rest(agent=agent) if error in OWN else Rest(account=account)


def why(rest: Rest, agent: str, now: float) -> str:
    """Why an agent cannot be used, as what follows its name."""
    shared = f" with its account {rest.account}" if rest.account not in ("", agent) else ""
    if rest.broken:
        return f"is out of use{shared} until `orch agents --check` ({rest.reason})"
    return f"rests{shared} for {max(1, round(rest.until - now))} s ({rest.reason})"


def named(agent: str, account: str) -> str:
    """An agent, with its account where that is called otherwise."""
    if not agent:
        return f"the account {account}"
    return agent if account in ("", agent) else f"{agent} (account {account})"


def _concerns(rest: Rest, agent: str, account: str) -> bool:
    return rest.account == account if rest.account else rest.agent == agent
