"""Cutting items of a list out of a file's text, so that every other byte stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orch.config.tree import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    Unreadable,
    line_of,
    parse,
    plain,
)


def cut(text: str, parts: list[str | int], wanted: Callable[[Any], bool]) -> tuple[str, int] | None:
    """The text without the items that `wanted` names, and how many they were.

    None where lines cannot be cut: the list is not written as one item below the other.
    """
    try:
        root = parse(text.encode())
    except Unreadable:
        return None
    found = _find(root, parts)
    if found is None:
        return None
    name, items = found
    going = [item for item in items.value if wanted(plain(item))]
    if not going:
        return text, 0
    if items.flow_style or len({line_of(item) for item in items.value}) < len(items.value):
        return None
    lines = text.splitlines(keepends=True)
    for item in going:
        first = line_of(item) - 1
        if not lines[first].lstrip().startswith("- "):
            return None
        lines[first : _end(item)] = [""] * (_end(item) - first)
    if len(going) == len(items.value):
        row, column = name.end_mark.line, lines[name.end_mark.line].index(":", _column(name)) + 1
        lines[row] = f"{lines[row][:column]} []{lines[row][column:]}"
    return "".join(lines), len(going)


def _find(root: Node | None, parts: list[str | int]) -> tuple[Node, SequenceNode] | None:
    """The list at a key, with the node of its name."""
    node, name = root, None
    for part in parts:
        if not isinstance(node, MappingNode):
            return None
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == part:
                name, node = key, value
                break
        else:
            return None
    if name is None or not isinstance(node, SequenceNode) or line_of(node) < line_of(name):
        return None
    return name, node


def _end(node: Node) -> int:
    """The number of lines up to and with the last one of a node."""
    if isinstance(node, ScalarNode) or not node.value:
        mark = node.end_mark
        return int(mark.line) + (1 if mark.column else 0)
    if isinstance(node, MappingNode) and not node.flow_style:
        return max(_end(value) for _, value in node.value)
    if isinstance(node, SequenceNode) and not node.flow_style:
        return max(_end(item) for item in node.value)
    return int(node.end_mark.line) + 1


def _column(node: Node) -> int:
    return int(node.end_mark.column)
