"""The dashboard's screen: what stands in which line, as rich texts cut to their width. Pure."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from orch.cli import show
from orch.cli.dashboard.facts import Facts, safe
from orch.cli.dashboard.view import HELP, ORDER, Row, View
from orch.core.approval import words
from orch.model import Task, Usage

WIDE = 140
"""Columns from which on the detail stands beside the list, not below it."""

LEAST = (40, 10)
"""Columns and rows below which there is nothing to be seen."""

PROBLEM_ROWS = 7
"""Of so many rows one tells of problems, but three at most."""

DETAIL_LEAST = 4
"""Lines below which a detail tells nothing, and the list has them."""

BAR = Text(" │ ", "dim")
STYLES = {**show.STATES, "disabled": "dim"}
"""The style of each status of a task and each state of a service: its colour in all tables."""

KEYS = (
    "↑↓ move", "⏎ enter", "s send", "a allow", "d deny", "r retry", "K kill", "? help", "q quit",
    "v watch", "/ find", "A done too", "n next", "u unblock",
)  # fmt: skip


class Block(NamedTuple):
    """Lines that stand at a place of the screen (row and column from 0), `width` columns wide."""

    row: int
    column: int
    width: int
    lines: list[Text]


class Frame(NamedTuple):
    """A whole screen; `caret` is where the cursor is shown, if at all."""

    blocks: list[Block]
    caret: tuple[int, int] | None = None


def frame(facts: Facts, view: View, width: int, height: int) -> Frame:
    """The screen for these facts. Sets `view.page` to the lines that the list has."""
    if width < LEAST[0] or height < LEAST[1]:
        said = Text(f"the dashboard needs {LEAST[0]}x{LEAST[1]}, this is {width}x{height}")
        return Frame([Block(0, 0, width, _filled([said], width, height))])
    top = [_title(facts, width), _services(facts), *_problems(facts, height)]
    top.append(Text("─" * width, "dim"))
    room = height - len(top) - 2
    foot = [_keys(width), _last_line(view, width)]
    blocks = [Block(0, 0, width, _filled(top, width, len(top)))]
    if view.help:
        blocks.append(Block(len(top), 0, width, _filled(_help(), width, room)))
    elif width >= WIDE:
        blocks += _beside(facts, view, width, len(top), room)
    else:
        blocks += _below(facts, view, width, len(top), room)
    blocks.append(Block(height - 2, 0, width, _filled(foot, width, 2)))
    caret = _caret(view, width)
    return Frame(blocks, (height - 1, caret) if caret is not None else None)


def _beside(facts: Facts, view: View, width: int, row: int, room: int) -> list[Block]:
    left = width * 11 // 20
    right = width - left - BAR.cell_len
    view.page = room
    view.update(facts)
    bars = Block(row, left, BAR.cell_len, [BAR] * room)
    listed = _filled(_list(facts, view, left), left, room)
    detail = _filled(_detail(facts, view, right, room), right, room)
    return [Block(row, 0, left, listed), bars, Block(row, left + BAR.cell_len, right, detail)]


def _below(facts: Facts, view: View, width: int, row: int, room: int) -> list[Block]:
    low = room * 2 // 5
    if low < DETAIL_LEAST:
        view.page = room
        view.update(facts)
        return [Block(row, 0, width, _filled(_list(facts, view, width), width, room))]
    view.page = room - low - 1
    view.update(facts)
    listed = _filled(_list(facts, view, width), width, view.page)
    detail = _filled(_detail(facts, view, width, low), width, low)
    lines = [*listed, _cut(Text("─" * width, "dim"), width), *detail]
    return [Block(row, 0, width, lines)]


# ---- the top -----------------------------------------------------------------------------------


def _title(facts: Facts, width: int) -> Text:
    """Version, slots, tasks by status, cost; the clock of the facts at the right."""
    parts: list[Text] = [Text("orch", "bold")]
    if facts.roster:
        parts[0] = Text(f"orch {safe(facts.roster.version)}", "bold")
    if facts.overview:
        used, most = facts.overview.slots_used, facts.overview.slots_max
        parts.append(Text(f"{used}/{most} slots", "yellow" if used >= most else ""))
    if facts.today:
        told = _cost(facts.today.usage)
        parts.append(Text(f"{told} today" if told else ""))
    if facts.totals:
        counts = facts.totals.counts
        parts += [Text(f"{counts[s]} {s}", STYLES.get(s, "")) for s in ORDER if counts.get(s)]
    clock = time.strftime("%H:%M:%S", time.localtime(facts.at)) if facts.at else ""
    title = Text("  ").join(part for part in parts if part.plain)
    return Text.assemble(_cut(title, width - len(clock) - 1), " ", (clock, "dim"))


def _cost(usage: Usage) -> str:
    """Money, where a price is known, else tokens; '' for nothing used."""
    return show.money(usage.usd) or _tokens(usage.input_tokens + usage.output_tokens)


def _tokens(count: int) -> str:
    if not count:
        return ""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit} tokens"
    return f"{count} tokens"


def _services(facts: Facts) -> Text:
    """Each service with its state, in a word where it is not ready."""
    if not facts.roster:
        return Text("services unknown", "dim")
    orchd = "orchd" in facts.away
    found = [Text.assemble(("○ " if orchd else "● ", "red" if orchd else "green"), "orchd")]
    for one in facts.roster.services:
        away = one.name in facts.away or orchd
        state = "?" if orchd else "no answer" if away else one.state
        style = "red" if away else STYLES.get(one.state, "")
        mark = "● " if state == "ready" else "○ "
        word = "" if state == "ready" else f" {state}"
        again = f" restarted {one.restarts}x" if one.restarts else ""
        found.append(Text.assemble((mark, style), safe(one.name), (word, style), (again, "dim")))
    return Text("  ").join(found)


def _problems(facts: Facts, height: int) -> list[Text]:
    found = facts.problems
    most = max(1, min(height // PROBLEM_ROWS, 3))
    lines = [Text.assemble(("! ", "red"), (text, "yellow")) for text in found[:most]]
    if not found:  # nothing is wrong now: there is room for what was told last
        lines = [Text.assemble(("· ", "dim"), (text, "dim")) for text in facts.notices[: most - 1]]
    if len(found) > most:
        lines.append(Text(f"  and {len(found) - most} more: `orch status`", "dim"))
    return lines


# ---- the list ----------------------------------------------------------------------------------


def _list(facts: Facts, view: View, width: int) -> list[Text]:
    """The part of the list that is on the screen, the row under the cursor marked."""
    ids = [cell_len(row.task) for row in view.rows if row.task]
    first = min(max([8, *ids]), max(width // 4, 8))
    lines = []
    for row in view.rows[view.top : view.top + view.page]:
        if not row.kind:
            lines.append(_heading(row, facts, view))
            continue
        if row.kind == "question":
            line = _question(row, first)
        else:
            line = _session(row, facts, first) if row.session else _task(row, facts, first)
        if (row.kind, row.name) == view.chosen:
            line = Text.assemble("›", line)
            line = _cut(line, width)
            line.stylize("reverse")
        else:
            line = Text.assemble(" ", line)
        lines.append(line)
    return lines


def _heading(row: Row, facts: Facts, view: View) -> Text:
    line = Text(row.name, "bold")
    if row.name.startswith("TASKS"):
        if view.filter:
            line.append(f"  with {safe(view.filter)!r} (Esc shows all)", "yellow")
        if not facts.tasks and not view.filter:
            line.append("  none; `orch task add TITLE` makes one", "dim")
        if facts.matching > len(facts.tasks):
            line.append(f"  the newest {len(facts.tasks)} of {facts.matching}", "dim")
    return line


def _question(row: Row, first: int) -> Text:
    one = row.session
    assert one is not None
    return _cells([(row.task, first, "cyan"), (one.agent, 9, ""), (one.asks, 0, "yellow")])


def _session(row: Row, facts: Facts, first: int) -> Text:
    one = row.session
    assert one is not None
    ran = show.ago(one.started_at, facts.at or one.started_at)
    last = facts.lines.get(one.session, "").strip()
    cost = _cost(facts.spent.get(row.task, Usage())).replace(" tokens", "t")
    cells = [(row.task, first, "cyan"), (one.agent, 9, ""), (ran, 7, "dim"), (cost or "-", 7, "")]
    if one.taken_by:
        cells.append((f"taken by {one.taken_by}:", 0, "magenta"))
    return _cells([*cells, (last, 0, "")])


def _task(row: Row, facts: Facts, first: int) -> Text:
    task = row.found
    assert task is not None
    age = show.ago(task.created_at, max(facts.at, task.created_at))
    return _cells(
        [
            (row.task, first, ""),
            (str(task.status), 12, STYLES.get(task.status, "")),
            (task.agent or task.wanted_agent or "-", 9, ""),
            (age, 7, "dim"),
            (task.title, 0, ""),
        ]
    )


def _cells(cells: Iterable[tuple[str, int, str]]) -> Text:
    """Cells of so many columns each (0: as long as it is), in their styles."""
    line = Text()
    for text, columns, style in cells:
        shown = safe(text)
        if columns and cell_len(shown) > columns:
            shown = set_cell_size(shown, columns - 1) + "…"
        line.append(set_cell_size(shown, columns) if columns else shown, style)
        line.append(" ")
    return line


# ---- the detail --------------------------------------------------------------------------------


def _detail(facts: Facts, view: View, width: int, room: int) -> list[Text]:
    """What is known of the row under the cursor, and the last lines of its session."""
    row = view.row()
    found = facts.detail
    if row is None:
        return [Text("nothing chosen", "dim")]
    if found is None or found.task.key != row.task:
        return [Text(f"{row.task} …", "dim")]
    task = found.task
    few = room < 8
    lines = [Text(line, "bold") for line in _wrapped(task.title, width)[: 1 if few else 3]]
    last = found.attempts[-1] if found.attempts else None
    facts_of = [
        task.key, task.project, str(task.status), " ".join(filter(None, (task.agent, task.model))),
        f"attempt {last.n}" if last else "", show.money(last.usage.usd) if last else "",
        "" if few else task.branch,
    ]  # fmt: skip
    lines.append(Text(" · ".join(safe(fact) for fact in facts_of if fact), "cyan"))
    lines += [
        Text(line, "yellow")
        for one in facts.asked
        for line in _wrapped(f"asks: {words(one.tool, one.text, one.options)}", width)[:3]
    ]
    lines += [
        Text(line, style)
        for line, style in _why(
            task, "" if facts.asked else found.waiting_for, width, 1 if few else 4
        )
    ]
    space = room - len(lines)
    output = [line for line in facts.output if line.strip()] if few else _ends(facts.output)
    return lines + [Text(line) for line in output[-space:]] if space > 0 else lines


def _why(task: Task, waiting: str, width: int, most: int) -> list[tuple[str, str]]:
    """Why the task does not run, or what it came to."""
    for label, text, style in (
        ("waits: ", waiting, "yellow"),
        ("blocked: ", task.blocked_reason, "red"),
        ("failed: ", task.last_error, "red"),
        ("", task.summary, "green"),
    ):
        if text:
            return [(line, style) for line in _wrapped(f"{label}{text}", width)[:most]]
    return []


def _ends(lines: tuple[str, ...]) -> list[str]:
    """The lines without empty ones at the end."""
    found = list(lines)
    while found and not found[-1].strip():
        found.pop()
    return found


def _wrapped(text: str, width: int) -> list[str]:
    """A text of any length as lines of so many columns; wide characters count twice."""
    text = safe(text[: 8 * width])
    if cell_len(text) == len(text):
        return textwrap.wrap(text, width) or [""]
    lines = [""]
    for char in text:
        if cell_len(lines[-1] + char) > width:
            lines.append("")
        lines[-1] += char
    return lines


# ---- the foot ----------------------------------------------------------------------------------


def _keys(width: int) -> Text:
    line = Text()
    for hint in KEYS:
        key, _, means = hint.partition(" ")
        if line.cell_len + cell_len(hint) + 2 > width:
            break
        line.append(f" {key}", "bold").append(f" {means} ", "dim")
    return line


def _last_line(view: View, width: int) -> Text:
    """The prompt that is open, or the last message."""
    if view.asking is None:
        return Text(view.told, "red" if view.told_badly else "green")
    label = view.asking.label
    if view.asking.sure:
        return Text(label, "bold yellow")
    typed, _ = _typed(view, width)
    return Text.assemble((f"{label} ", "bold yellow"), typed)


def _typed(view: View, width: int) -> tuple[str, int]:
    """The part of the typed text that fits, and the caret's column in it."""
    assert view.asking is not None
    room = max(width - cell_len(view.asking.label) - 2, 8)
    before = safe(view.text[: view.caret].replace("\n", "⏎"))
    after = safe(view.text[view.caret :].replace("\n", "⏎"))
    while cell_len(before) > room - 1:
        before = before[1:]
    return before + after, cell_len(before)


def _caret(view: View, width: int) -> int | None:
    if view.asking is None:
        return None
    if view.asking.sure:
        return cell_len(view.asking.label) + 1
    return cell_len(view.asking.label) + 1 + _typed(view, width)[1]


def _help() -> list[Text]:
    lines = [Text("KEYS", "bold"), *(Text(f"  {keys:<12}{means}") for keys, means in HELP)]
    return [*lines, Text(), Text("Any key goes back.", "dim")]


# ---- lines -------------------------------------------------------------------------------------


def _cut(line: Text, width: int) -> Text:
    """The line at exactly so many columns."""
    cut = line.copy()
    cut.truncate(max(width, 0), overflow="ellipsis", pad=True)
    return cut


def _filled(lines: list[Text], width: int, height: int) -> list[Text]:
    """Exactly so many lines, each exactly so wide."""
    found = [_cut(line, width) for line in lines[:height]]
    return found + [Text(" " * width)] * (height - len(found))
