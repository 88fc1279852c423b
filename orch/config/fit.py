"""Single values against the schema: do they fit, and how to say that they do not."""

from __future__ import annotations

import difflib
import re
import shlex
from typing import Any

from msgspec import inspect as kinds

from orch.config.schema import SHELL
from orch.config.tree import MappingNode, Node, ScalarNode, SequenceNode, scalar


def fault(found: Any, kind: kinds.Type) -> str:
    """What is wrong with a scalar; '' when nothing is."""
    bare = bare_kind(kind)
    extra = extra_of(kind)
    choices = bare.values if isinstance(bare, kinds.LiteralType) else extra.get("choices", ())
    got = "***" if extra.get("secret") else shown(found)
    if choices and (
        found not in choices or isinstance(found, bool) != (choices[0] in (True, False))
    ):
        near = difflib.get_close_matches(str(found), [str(c) for c in choices], 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"expected {expected(kind)}, got {got}{hint}"
    if choices:
        return ""
    wanted = {
        kinds.StrType: (str,),
        kinds.BoolType: (bool,),
        kinds.IntType: (int,),
        kinds.FloatType: (int, float),
    }[type(bare)]
    if not isinstance(found, wanted) or (isinstance(found, bool) and bool not in wanted):
        return f"expected {expected(kind)}, got {type_name(found)}"
    if isinstance(bare, kinds.StrType):
        return _text_fault(str(found), bare, extra, got)
    low, high = getattr(bare, "ge", None), getattr(bare, "le", None)
    if (low is not None and not found >= low) or (high is not None and not found <= high):
        return f"expected {expected(kind)} from {low} to {high}, got {got}"
    return ""


def _text_fault(found: str, bare: kinds.StrType, extra: dict[str, Any], got: str) -> str:
    if "\x00" in found:
        return "holds a zero byte"
    if bare.min_length and len(found) < bare.min_length:
        return "is empty"
    if bare.max_length is not None and len(found) > bare.max_length:
        return f"is longer than {bare.max_length} characters"
    if bare.pattern and not re.search(bare.pattern, found):
        return f"expected {extra['form']}, got {got}"
    return ""


def split_text(text: str, kind: kinds.Type) -> list[str]:
    """Text as the items of a list: at commas, or a command into words as a shell would; a script
    is a shell's to read."""
    if extra_of(kind).get("split") == "shell":
        return [*SHELL, text] if text.strip() else []
    if extra_of(kind).get("split") == "words":
        try:
            return shlex.split(text)
        except ValueError as problem:
            raise ValueError(f"cannot be split into words: {problem}") from None
    return [word.strip() for word in text.split(",") if word.strip()]


def typed(text: str, bare: kinds.Type) -> object:
    """Text from a variable or a command line as the scalar its key asks for, if it can be."""
    try:
        if isinstance(bare, kinds.IntType):
            return int(text)
        if isinstance(bare, kinds.FloatType):
            return float(text)
    except ValueError:
        return text
    boolean = isinstance(bare, kinds.BoolType) or (
        isinstance(bare, kinds.LiteralType) and isinstance(bare.values[0], bool)
    )
    if boolean and text.lower() in ("true", "yes", "on", "false", "no", "off"):
        return text.lower() in ("true", "yes", "on")
    return text


def expected(kind: kinds.Type) -> str:
    """What a scalar of this type looks like, for messages."""
    bare = bare_kind(kind)
    choices = (
        bare.values if isinstance(bare, kinds.LiteralType) else extra_of(kind).get("choices", ())
    )
    if choices:
        return " or ".join(shown(choice) for choice in choices)
    return {
        kinds.StrType: "str",
        kinds.IntType: "int",
        kinds.FloatType: "a number",
        kinds.BoolType: "true or false",
    }.get(type(bare), "a value")


def shape(node: Node) -> str:
    """What a node is, for messages."""
    if isinstance(node, MappingNode):
        return "keys and values"
    if isinstance(node, SequenceNode):
        return "a list"
    assert isinstance(node, ScalarNode)
    return type_name(scalar(node))


def type_name(found: object) -> str:
    """The type of a scalar, for messages."""
    return "nothing" if found is None else type(found).__name__


def shown(found: object) -> str:
    """A scalar as messages show it: on one line, not too long."""
    if isinstance(found, bool):
        return "true" if found else "false"
    text = " ".join(str(found).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def bare_kind(kind: kinds.Type) -> kinds.Type:
    """A type without what is noted beside it."""
    return bare_kind(kind.type) if isinstance(kind, kinds.Metadata) else kind


def extra_of(kind: kinds.Type) -> dict[str, Any]:
    """What the schema notes beside a type: `choices`, `form`, `split`, `secret`."""
    return (kind.extra or {}) if isinstance(kind, kinds.Metadata) else {}


def fields_of(kind: kinds.StructType) -> dict[str, kinds.Field]:
    """A section's keys."""
    return {field.encode_name: field for field in kind.fields}
