"""A file's tree against the schema: plain values, the line of each, and every problem."""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect as kinds

from orch.config.expand import Lookup, Unset, expand, has_reference
from orch.config.fit import (
    bare_kind,
    expected,
    extra_of,
    fault,
    fields_of,
    shape,
    split_text,
    typed,
)
from orch.config.schema import (
    GLOBAL_ONLY,
    INTERNAL,
    LATER,
    LATER_VALUES,
    PROJECT_ONLY,
    Config,
    JobConfig,
    JobTask,
)
from orch.config.tree import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    line_of,
    listed,
    nothing,
    scalar,
    written,
)

_WRONG: Any = object()
"""Stands for a value that could not be read; its problem is recorded."""


class Problem(msgspec.Struct, frozen=True):
    """Something wrong in a file: the key it concerns, in words for the reader."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {key}{self.text}"


class Checked(msgspec.Struct):
    """What a file says. A file with `problems` is invalid; `bad_jobs` disturb nothing else."""

    file: str
    values: dict[str, Any]
    lines: dict[str, int]
    problems: list[Problem]
    bad_jobs: list[Problem]


def check(root: MappingNode | None, file: str, lookup: Lookup, *, project: bool) -> Checked:
    """Read a file's tree by the schema. `project` tells `.orch.yml` from `config.yml`."""
    reader = _Reader(file, lookup, project)
    values = {} if root is None else reader.mapping(root, _schema(), "")
    return Checked(file, values, reader.lines, reader.problems, reader.bad_jobs)


def convert(text: str, key: str) -> object:
    """`text`, as typed on a command line, as the value that `key` takes in a file.

    A list may also be given as YAML in brackets. Raises `ValueError` with the problem.
    """
    kind = kind_of(key)
    if isinstance(bare_kind(kind), kinds.StructType | kinds.DictType):
        raise ValueError("is a section: set the keys in it")  # noqa: TRY004
    if isinstance(bare_kind(kind), kinds.VarTupleType) and text.startswith("["):
        return listed(text)
    if has_reference(text):
        return text
    node = written(text)
    reader = _Reader("", lambda _name: None, project=False)
    value = reader.value(node, kind, key, plain=True)
    if reader.problems:
        raise ValueError(reader.problems[0].text)
    return list(value) if isinstance(value, tuple) else value


def kind_of(key: str) -> kinds.Type:
    """The schema's type of a dotted key. Raises `ValueError` when there is no such key."""
    kind: kinds.Type = _schema()
    done = ""
    for part in split_key(key):
        bare = bare_kind(kind)
        if isinstance(bare, kinds.StructType):
            known = fields_of(bare)
            path = f"{done}.{part}" if done else str(part)
            if part not in known or generic(path) in INTERNAL:
                raise ValueError(_unknown(path, list(known), done))
            kind = known[str(part)].type
        elif isinstance(bare, kinds.DictType):
            kind = bare.value_type
        elif isinstance(bare, kinds.VarTupleType) and isinstance(part, int):
            kind = bare.item_type
        else:
            raise ValueError(f"unknown key: {done} has no parts")  # noqa: TRY004
        done = join_key(done, part)
    return kind


def split_key(key: str) -> list[str | int]:
    """`jobs[0].task.title` as its parts. Raises `ValueError` for what is no key."""
    if not re.fullmatch(r"[^.\[\]]+(\[\d{1,6}\]|\.[^.\[\]]+)*", key):
        raise ValueError("not a key: write it as section.name")
    return [int(n) if n else word for word, n in re.findall(r"([^.\[\]]+)(?<!\[)|\[(\d+)\]", key)]


def join_key(key: str, part: str | int) -> str:
    """A key with one more part."""
    if isinstance(part, int):
        return f"{key}[{part}]"
    return f"{key}.{part}" if key else part


def generic(key: str) -> str:
    """A key as the schema's tables name it: list positions as `[]`."""
    return re.sub(r"\[\d+\]", "[]", key) if "[" in key else key


def is_secret(kind: kinds.Type) -> bool:
    """Whether values of this type are printed as `***`."""
    return bool(extra_of(kind).get("secret"))


class _Reader:
    """One walk over one file's tree."""

    def __init__(self, file: str, lookup: Lookup, project: bool) -> None:
        self.file = file
        self.lookup = lookup
        self.project = project
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.bad_jobs: list[Problem] = []

    def wrong(self, node: Node, key: str, text: str) -> Any:
        """Record a problem; returns what stands for the unreadable value."""
        self.problems.append(Problem(self.file, line_of(node), key, text))
        return _WRONG

    def value(self, node: Node, kind: kinds.Type, key: str, *, plain: bool = False) -> Any:
        """The value of a node. `plain`: text that may become any scalar (from a variable)."""
        bare = bare_kind(kind)
        if isinstance(bare, (kinds.StructType, kinds.DictType)):
            if isinstance(node, ScalarNode) and scalar(node) is None:
                node = nothing(node)
            if not isinstance(node, MappingNode):
                return self.wrong(node, key, f"expected keys and values, got {shape(node)}")
            return self.mapping(node, bare, key)
        if isinstance(bare, kinds.VarTupleType):
            return self.sequence(node, kind, bare, key)
        if not isinstance(node, ScalarNode):
            return self.wrong(node, key, f"expected {expected(kind)}, got {shape(node)}")
        found = scalar(node)
        if isinstance(found, str) and has_reference(found):
            try:
                found, plain = expand(found, self.lookup), True
            except Unset as problem:
                return self.wrong(node, key, str(problem))
        if plain and isinstance(found, str):
            found = typed(found, bare)
        return self.leaf(node, found, kind, key)

    def mapping(self, node: MappingNode, kind: kinds.Type, key: str) -> dict[str, Any]:
        """The values below a section, or of a table with free names."""
        values: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for name_node, value_node in _pairs(node):
            if not isinstance(name_node, ScalarNode) or not name_node.value:
                self.wrong(name_node, key, f"expected a name, got {shape(name_node)}")
                continue
            name = str(name_node.value)
            path = join_key(key, name)
            if name in seen:
                self.wrong(name_node, path, f"set twice (first on line {seen[name]})")
                continue
            seen[name] = line_of(name_node)
            below = self.member(name_node, kind, key, path)
            if below is None:
                continue
            self.lines[path] = line_of(name_node)
            value = self.jobs(value_node, below) if path == "jobs" else None
            if value is None:
                value = self.value(value_node, below, path)
            if value is not _WRONG:
                values[name] = value
        if isinstance(kind, kinds.StructType) and key:
            for field in kind.fields:
                if field.required and field.encode_name not in seen:
                    self.wrong(node, join_key(key, field.encode_name), "is missing")
        return values

    def member(self, node: ScalarNode, kind: kinds.Type, key: str, path: str) -> kinds.Type | None:
        """The type of what `path` holds; None, with a problem, where it may not stand."""
        if generic(path) in LATER:
            self.wrong(node, path, "this version of orch does not have it yet")
            return None
        if isinstance(kind, kinds.DictType):
            named = self.leaf(node, node.value, kind.key_type, path) is not _WRONG
            return kind.value_type if named else None
        assert isinstance(kind, kinds.StructType)
        known = _known(kind)
        if node.value not in known or generic(path) in INTERNAL:
            self.wrong(node, path, _unknown(path, list(known), key))
            return None
        if self.project and path in GLOBAL_ONLY:
            self.wrong(node, path, "belongs in config.yml, not in a project's file")
            return None
        if not self.project and path in PROJECT_ONLY:
            self.wrong(node, path, "belongs in a project's .orch.yml, not in config.yml")
            return None
        return known[node.value].type

    def sequence(self, node: Node, kind: kinds.Type, bare: kinds.VarTupleType, key: str) -> Any:
        """A YAML list, or text split at commas (a command: into words, as a shell does)."""
        if isinstance(node, SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                path = join_key(key, index)
                self.lines[path] = line_of(item)
                items.append(self.value(item, bare.item_type, path))
            return _WRONG if any(item is _WRONG for item in items) else tuple(items)
        text = scalar(node) if isinstance(node, ScalarNode) else None
        if not isinstance(text, str) or isinstance(bare_kind(bare.item_type), kinds.StructType):
            return self.wrong(node, key, f"expected a list, got {shape(node)}")
        try:
            words = self.words(text, kind)
        except (Unset, ValueError) as problem:
            return self.wrong(node, key, str(problem))
        read = [
            self.leaf(node, typed(word, bare_kind(bare.item_type)), bare.item_type, f"{key}[{n}]")
            for n, word in enumerate(words)
        ]
        return _WRONG if any(item is _WRONG for item in read) else tuple(read)

    def words(self, text: str, kind: kinds.Type) -> list[str]:
        """The items that text stands for. A variable may hold several, but only one word."""
        if extra_of(kind).get("split") == "shell":
            return split_text(text, kind)  # what looks like a variable is the shell's
        if extra_of(kind).get("split") == "words":
            return [expand(word, self.lookup) for word in split_text(text, kind)]
        return split_text(expand(text, self.lookup), kind)

    def leaf(self, node: Node, found: Any, kind: kinds.Type, key: str) -> Any:
        """A scalar against its type and bounds."""
        if _is_later(key, found):
            return self.wrong(node, key, f"this version of orch does not have {found} yet")
        text = fault(found, kind)
        if text:
            return self.wrong(node, key, text)
        return float(found) if isinstance(bare_kind(kind), kinds.FloatType) else found

    def _fitting(self, node: Node, path: str, values: dict[str, Any]) -> None:
        """A job must have what its type needs, and nothing that only another type has."""
        kind = values.get("type", "task")
        needed = {"task": "task", "bash": "command"}.get(kind, "")
        if needed and not values.get(needed):
            self.wrong(node, f"{path}.{needed}", f"is missing: a job of type {kind} needs it")
        for name in ("command", "dir", "timeout_seconds"):
            if kind != "bash" and name in values:
                text = f"is for jobs of type bash, this one is of type {kind}"
                self.wrong(node, f"{path}.{name}", text)

    def jobs(self, node: Node, kind: kinds.Type) -> Any:
        """The list of jobs: a bad one becomes a job with a problem and disturbs no other."""
        if not isinstance(node, SequenceNode):
            return None
        item_kind = getattr(kind, "item_type")  # noqa: B009
        jobs: list[Any] = []
        ids: dict[str, int] = {}
        for index, item in enumerate(node.value):
            path = f"jobs[{index}]"
            self.lines[path] = line_of(item)
            before = len(self.problems)
            values = self.value(item, item_kind, path)
            if isinstance(values, dict) and len(self.problems) == before:
                self._fitting(item, path, values)
            name = values.get("id", "") if isinstance(values, dict) else ""
            if name in ids:
                self.wrong(item, f"{path}.id", f"set twice (first on line {ids[name]})")
            elif name:
                ids[name] = line_of(item)
            found = self.problems[before:]
            del self.problems[before:]
            self.bad_jobs += found
            jobs.append(values if not found else _bad_job(path, values, found[0]))
        return tuple(jobs)


def _bad_job(path: str, values: Any, problem: Problem) -> JobConfig:
    said = values if isinstance(values, dict) else {}
    task = said.get("task") if isinstance(said.get("task"), dict) else {}
    return JobConfig(
        id=said.get("id", path),
        schedule=said.get("schedule", ""),
        timezone=said.get("timezone", ""),
        type=said.get("type", "task"),
        task=JobTask(title=(task or {}).get("title", "")),
        problem=str(problem),
    )


def _pairs(node: MappingNode) -> list[tuple[Node, Node]]:
    """The pairs of a mapping; what `<<` merges in counts where it has no such key of its own."""
    own: list[tuple[Node, Node]] = []
    merged: list[tuple[Node, Node]] = []
    for name, value in node.value:
        if name.tag != "tag:yaml.org,2002:merge":
            own.append((name, value))
            continue
        for source in value.value if isinstance(value, SequenceNode) else [value]:
            if isinstance(source, MappingNode):
                merged += _pairs(source)
    names = {str(name.value) for name, _ in own}
    for name, value in merged:
        if str(name.value) not in names:
            names.add(str(name.value))
            own.append((name, value))
    return own


def _is_later(key: str, found: Any) -> bool:
    """Whether a value of this key comes with a later version."""
    for last, pattern, values in _LATER:
        if key.endswith(last) and pattern.fullmatch(generic(key)):
            return any(found == value and type(found) is type(value) for value in values)
    return False


_LATER = [
    (
        pattern.rpartition(".")[2],
        re.compile(re.escape(pattern).replace(r"\*", r"[^.\[\]]+")),
        values,
    )
    for pattern, values in LATER_VALUES.items()
]


def _unknown(path: str, known: list[str], section: str) -> str:
    where = f"{section}." if section else ""
    names = [n for n in (f"{where}{name}" for name in known) if generic(n) not in INTERNAL]
    near = difflib.get_close_matches(path, names, 1, 0.75) or difflib.get_close_matches(
        path.rpartition(".")[2], _all_keys(), 1, 0.75
    )
    return f"unknown key (did you mean {near[0]}?)" if near else "unknown key"


@cache
def _all_keys() -> list[str]:
    """Every section's own name, for near misses across sections."""
    return [field.encode_name for field in _schema().fields]


_fields: dict[int, dict[str, kinds.Field]] = {}


def _known(kind: kinds.StructType) -> dict[str, kinds.Field]:
    """A section's keys, worked out once for each place in the schema."""
    found = _fields.get(id(kind))
    if found is None:
        found = _fields[id(kind)] = fields_of(kind)
    return found


@cache
def _schema() -> kinds.StructType:
    kind = kinds.type_info(Config)
    assert isinstance(kind, kinds.StructType)
    return kind
