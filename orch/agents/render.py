"""The steps of an agent as text for a person: what the pane and the log of a session show."""

from __future__ import annotations

from orch.agents.plain import strip_ansi
from orch.agents.stream import (
    Answered,
    Asked,
    Began,
    Edited,
    Failed,
    Finished,
    Limited,
    Noted,
    Retrying,
    Said,
    Step,
    Thought,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    ToolPrinted,
    Unknown,
)

BOLD, DIM, RED, GREEN, YELLOW, CYAN, OFF = (
    "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[0m"
)  # fmt: skip

TOP, BOTTOM = 8, 4
"""Lines of a tool's output that are shown: the first and the last."""
DIFF = 40
"""Lines of a diff that are shown."""
WIDE = 300
"""Characters of a line of output that are shown."""
LONG = 200_000
"""Characters of any one text that are looked at."""


def render(step: Step, before: Step | None = None) -> str:
    """The text for a step, of whole lines; '' for one that shows nothing. `before` is the step
    that was shown last."""
    match step:
        case Began():
            model = f" with {step.model}" if step.model else ""
            return f"{DIM}the agent is there{clean(model)}, session {clean(step.session)}{OFF}\n"
        case Said():
            return _said(step.text)
        case Thought():
            lines = clean(step.text).strip().splitlines()
            return "".join(f"{DIM}  {line}{OFF}\n" for line in lines)
        case ToolCalled():
            summary = f" {cut(clean(step.summary), WIDE)}" if step.summary else ""
            return f"{CYAN}▸ {BOLD}{clean(step.name)}{OFF}{summary}\n"
        case ToolPrinted():
            return "".join(f"    {cut(line)}\n" for line in clean(step.text).splitlines())
        case ToolAnswered():
            return _answered(step)
        case Edited():
            return _edited(step)
        case Asked():
            return _asked(step)
        case Answered():
            how = "allowed" if step.allowed else "not allowed"
            by = f" ({cut(clean(step.by))})" if step.by else ""
            return f"{YELLOW}  {how}{by}{OFF}\n"
        case Retrying():
            return f"{YELLOW}  {clean(step.reason)}: next try in {step.seconds:.0f} s{OFF}\n"
        case Limited() | Noted():
            text = step.reason if isinstance(step, Limited) else step.text
            return f"{YELLOW}  {cut(clean(text))}{OFF}\n"
        case Failed():
            lines = clean(step.text).strip().splitlines() or ["failed"]
            return "".join(f"{RED}✗ {cut(line)}{OFF}\n" for line in lines[:TOP])
        case Finished():
            said = isinstance(before, Said) and before.text.strip() == step.text.strip()
            return "" if said or not step.text.strip() else _said(step.text)
        case Unknown():
            return f"{DIM}  ({clean(step.kind)}){OFF}\n"
        case _:
            return ""


def account(used: TokensUsed) -> str:
    """The last line of a turn: what the run has used so far."""
    cached = f" and {used.cache_read:,} from the cache" if used.cache_read else ""
    written = f", {used.cache_write:,} into it" if used.cache_write else ""
    money = f" · ${used.usd:.4f}" if used.usd is not None else ""
    return f"{DIM}— {used.input:,} tokens in{cached}{written}, {used.output:,} out{money}{OFF}\n"


def typed(text: str) -> str:
    """What a person says to the agent."""
    lines = clean(text).strip().splitlines() or [""]
    return "".join(f"{BOLD}» {line}{OFF}\n" for line in lines)


def elsewhere(task: str) -> str:
    """Where else than in the pane a question can be answered."""
    approve, deny = f"orch task approve {task}", f"orch task deny {task} REASON"
    return f"{DIM}  from elsewhere: {clean(approve)}, or {clean(deny)}{OFF}\n"


def clean(text: str) -> str:
    """The agent's text without anything that acts on a terminal."""
    shown = text if len(text) <= LONG else f"{text[:LONG]}…"
    return strip_ansi(shown).replace("\u2028", "\n").replace("\u2029", "\n")


def cut(line: str, most: int = WIDE) -> str:
    """A line, shortened to `most` characters."""
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _said(text: str) -> str:
    lines = clean(text).strip().splitlines()
    marked = (f"{'● ' if n == 0 else '  '}{line}" for n, line in enumerate(lines))
    return "".join(f"{line.rstrip()}\n" for line in marked)


def _answered(step: ToolAnswered) -> str:
    lines = clean(step.text).rstrip().splitlines()
    if len(lines) > TOP + BOTTOM + 1:
        more = len(lines) - TOP - BOTTOM
        lines = [*lines[:TOP], f"{DIM}… {more} more lines{OFF}", *lines[-BOTTOM:]]
    text = "".join(f"    {cut(line)}\n" for line in lines)
    return f"{text}{RED}    ✗ failed{OFF}\n" if step.failed else text


def _edited(step: Edited) -> str:
    added = sum(line.startswith("+") for line in step.lines)
    removed = sum(line.startswith("-") for line in step.lines)
    text = f"    {clean(step.path)} {GREEN}+{added}{OFF} {RED}-{removed}{OFF}\n"
    colours = {"+": GREEN, "-": RED, "@": DIM}
    for line in step.lines[:DIFF]:
        colour = colours.get(line[:1], "")
        text += f"    {colour}{cut(clean(line))}{OFF if colour else ''}\n"
    more = len(step.lines) - DIFF
    return f"{text}    {DIM}… {more} more lines{OFF}\n" if more > 0 else text


def _asked(step: Asked) -> str:
    if step.options:
        choices = "".join(f"    - {cut(clean(one))}\n" for one in step.options)
        hint = "type your choice"
        return f"{YELLOW}? {BOLD}{cut(clean(step.text))}{OFF}\n{choices}{DIM}  {hint}{OFF}\n"
    what = cut(clean(step.text), 2000)
    hint = "y to allow, n and a reason to refuse"
    return f"{YELLOW}? may it use {BOLD}{clean(step.title)}{OFF}: {what}\n{DIM}  {hint}{OFF}\n"
