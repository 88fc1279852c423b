"""YAML text as a tree that knows its lines; syntax errors name file and line."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

LARGEST = 1 << 20
"""The largest configuration file, in bytes."""

MOST_NODES = 50_000
"""How many values a file may come to, aliases counted each time."""

DEEPEST = 20
"""How deep a file may be nested."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_construct: Any = SafeConstructor()

__all__ = [
    "MappingNode",
    "Node",
    "ScalarNode",
    "SequenceNode",
    "Unreadable",
    "line_of",
    "listed",
    "nothing",
    "parse",
    "plain",
    "scalar",
    "written",
]


class Unreadable(Exception):
    """A text that is no configuration at all: the line, and what is wrong there."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(line, text)
        self.line = line
        self.text = text


def parse(data: bytes) -> MappingNode | None:
    """The root mapping of a file's text; None when it says nothing. Raises `Unreadable`."""
    if len(data) > LARGEST:
        raise Unreadable(1, f"the file is larger than {LARGEST} bytes")
    try:
        root = yaml.compose(data, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        text = error.problem or error.context or "cannot be read"
        raise Unreadable(mark.line + 1 if mark else 1, f"not YAML: {text}") from None
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        text = str(getattr(error, "reason", "") or "cannot be read")
        position = getattr(error, "position", 0) or 0
        raise Unreadable(data[:position].count(b"\n") + 1, f"not YAML: {text}") from None
    if root is None or (isinstance(root, ScalarNode) and scalar(root) is None):
        return None
    if not isinstance(root, MappingNode):
        raise Unreadable(line_of(root), "expected `key: value` lines")
    _check_size(root)
    return root


def line_of(node: Node) -> int:
    """The line (from 1) on which a value begins."""
    return int(node.start_mark.line) + 1


def scalar(node: ScalarNode) -> object:
    """A scalar as str, int, float, bool or None; what YAML has beyond these stays text."""
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    read = getattr(_construct, f"construct_yaml_{kind}", None)
    if read is None or kind not in ("int", "float", "bool"):
        return str(node.value)
    try:
        value: object = read(node)
    except ValueError:
        return str(node.value)
    return value


def plain(node: Node) -> Any:
    """A node as plain dicts, lists and scalars, variables as they are written."""
    if isinstance(node, MappingNode):
        return {plain(name): plain(value) for name, value in node.value if _names(name)}
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.value]
    assert isinstance(node, ScalarNode)
    return scalar(node)


def _names(node: Node) -> bool:
    return isinstance(node, ScalarNode)


def written(text: str) -> ScalarNode:
    """A scalar made of text that stands in no file."""
    mark = yaml.Mark("", 0, 0, 0, None, 0)
    return ScalarNode("tag:yaml.org,2002:str", text, mark, mark)


def nothing(node: Node) -> MappingNode:
    """A section with nothing in it, in the place of a node."""
    return MappingNode("tag:yaml.org,2002:map", [], node.start_mark, node.end_mark)


def listed(text: str) -> list[Any]:
    """A list written as YAML on one line. Raises `ValueError`."""
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, list):
        raise ValueError("is no list: write a, b or [a, b]")  # noqa: TRY004
    return value


def _check_size(root: Node) -> None:
    """Refuse what is too large or too deep, aliases of aliases and loops included."""
    left = MOST_NODES
    stack: list[tuple[Node, int]] = [(root, 1)]
    while stack:
        node, depth = stack.pop()
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise Unreadable(line_of(node), "nested too deep, or far too large")
        if isinstance(node, MappingNode):
            for key, value in node.value:
                stack += [(key, depth + 1), (value, depth + 1)]
        elif isinstance(node, SequenceNode):
            stack += [(item, depth + 1) for item in node.value]
