"""What codex asks its client (`…/requestApproval` and others), and how that is answered."""

from __future__ import annotations

from orch.agents.codex_items import summary
from orch.agents.codex_rules import inner
from orch.agents.stream import Asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orch.agents.codex_items import Items
    from orch.agents.codex_rules import Rules

COMMAND = "item/commandExecution/requestApproval"
EDIT = "item/fileChange/requestApproval"
MORE = "item/permissions/requestApproval"
INPUT = "item/tool/requestUserInput"
FORM = "mcpServer/elicitation/request"

NOBODY = "Nobody can be asked here. Decide it yourself, and tell of it in your answer."


def asked(message: dict[str, Any], items: Items) -> Asked | None:
    """The question in a request of the server; None for a request that is none."""
    method, params = message["method"], message.get("params") or {}
    id_, reason = str(message["id"]), str(params.get("reason") or "")
    if method == COMMAND:
        called = items.called(str(params.get("itemId")))
        command = summary(inner(str(params.get("command") or ""))) or called[1]
        return Asked(id_, "Bash", _with(items.short(command), reason))
    if method == EDIT:
        return Asked(id_, "Edit", _with(items.called(str(params.get("itemId")))[1], reason))
    if method == MORE:
        wanted = ", ".join(name for name, value in params["permissions"].items() if value)
        return Asked(id_, "more permissions", _with(wanted, reason))
    if method == INPUT:
        first = (params.get("questions") or [{}])[0]
        labels = tuple(str(one.get("label")) for one in first.get("options") or ())
        return Asked(id_, "question", str(first.get("question") or ""), labels or ("(any text)",))
    if method == FORM:
        return Asked(id_, str(params.get("serverName")), str(params.get("message") or ""))
    return None


def decided(message: dict[str, Any], rules: Rules) -> bool | None:
    """What the rules say about a question; None when they say nothing."""
    method, params = message["method"], message.get("params") or {}
    if method == COMMAND and params.get("command"):
        return rules.command(inner(str(params["command"])))
    return rules.edit() if method == EDIT else None


def reply(message: dict[str, Any], allowed: bool, reason: str) -> dict[str, Any]:
    """The result that answers a question. A refusal lets the turn go on."""
    method, params = message["method"], message.get("params") or {}
    if method == MORE:
        return {"permissions": params["permissions"] if allowed else {}, "scope": "turn"}
    if method == INPUT:
        said = reason or NOBODY
        names = [str(one.get("id")) for one in params.get("questions") or ()]
        given = {name: {"answers": [said] if n == 0 else []} for n, name in enumerate(names)}
        return {"answers": given}
    if method == FORM:
        return {"action": "accept" if allowed else "decline", "content": None}
    return {"decision": "accept" if allowed else "decline"}


def _with(text: str, reason: str) -> str:
    return f"{text} ({reason})" if reason and text else text or reason
