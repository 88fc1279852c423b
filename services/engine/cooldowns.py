"""Which accounts and agents rest or are out of use, and how that ends."""

from __future__ import annotations

import msgspec

from orch.config.schema import Config
from orch.core import cooldowns as core
from orch.core.cooldowns import Rests
from orch.core.prompt import one_line
from orch.errors import NotFound
from orch.messages import ClearCooldowns, Done, ReportAgent
from orch.model import ErrorClass, Rest
from orch.service import answers
from orch.store import cooldowns
from services.engine.notices import Notices


class Cooldowns(Notices):
    """Lets accounts rest for all agents that use them, and takes what is broken out of use."""

    def rests(self) -> Rests:
        """All that rests now."""
        return Rests(cooldowns.lasting(self.store, self.now()))

    def resting_models(self, agent: str, config: Config) -> frozenset[str]:
        """The models that an agent cannot use now, since those of its account rest."""
        return self.rests().models(config.account_of(agent))

    def cool(self, account: str, model: str, until: float, reason: str) -> None:
        """Let an account, or one model of it, rest until then."""
        rest = Rest(account=account, model=model, until=until, reason=reason)
        cooldowns.cool(self.store, rest)

    def mark_broken(self, error: ErrorClass | None, agent: str, account: str, why: str) -> None:
        """Take an account (or an agent by itself, where the error says so) out of use until a
        check passes; people are told once."""
        rest = core.whose(error, agent, account)
        reason = one_line(f"{error}: {why}" if error else why)
        rest = msgspec.structs.replace(rest, reason=reason, until=self.now())
        if cooldowns.mark_broken(self.store, rest):
            self.event("agent_broken", "", agent=agent, reason=reason,
                       **_shared(agent, rest.account))  # fmt: skip

    def agents_with_accounts(self) -> set[tuple[str, str]]:
        """Every agent of every configuration, with the account that it uses there."""
        configs = [self.loaded.config, *(p.config for p in self.loaded.projects.values())]
        return {(name, one.account_of(name)) for one in configs for name in one.agents}

    @answers(ReportAgent)
    def report_agent(self, request: ReportAgent) -> Done:
        """What a check of an agent found decides whether it, and its account, is used."""
        agent = request.agent
        if agent not in {name for name, _ in self.agents_with_accounts()}:
            raise NotFound(f"there is no agent {agent!r}", "`orch agents` lists them")
        account = request.account or self.loaded.config.account_of(agent)
        with self.write():
            if request.problem:
                self.mark_broken(None, agent, account, request.problem)
            else:
                for mended in cooldowns.mend(self.store, account, agent):
                    self.event("agent_mended", "", agent=agent, **_shared(agent, mended))
        self.stir()
        return Done()

    @answers(ClearCooldowns)
    def clear_cooldowns(self, request: ClearCooldowns) -> Done:
        """Let agents be used again, and the accounts that they use."""
        name = request.agent
        used = {account for agent, account in self.agents_with_accounts() if agent == name}
        with self.write():
            if name:
                cooldowns.clear(self.store, tuple({name, *used}), name)
            else:
                cooldowns.clear_all(self.store)
            self.event("cooldowns_cleared", "", agent=name)
            for account in sorted(used - {name}):
                self.event("cooldowns_cleared", "", agent=name, account=account)
        self.stir()
        return Done()


def _shared(agent: str, account: str) -> dict[str, str]:
    """The account as a field of an event: only where it is not called like the agent."""
    return {"account": account} if account not in ("", agent) else {}
