"""Sizes, names, docstrings, and nothing left undone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.house.source import ROOT, Source, imports, shipped, sources, within

FILE_LINES, FUNCTION_LINES, LINE_LENGTH = 420, 60, 100
WHOLE = {
    "orch/messages.py": "the whole grammar in one place, by design",
    "orch/model.py": "every noun in one place",
}
"""Files that may be longer, and why."""

BANNED_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "misc", "base"})
BANNED_WORD = "manager"
PRAGMA = re.compile(r"\s+# (noqa|type: ignore|fmt:).*$")
UNDONE = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|Not" r"ImplementedError|HA" r"CK)\b")
SKIPPED = re.compile(r"pytest\.(mark\.)?(skip|xfail|importorskip)|unittest\.skip")
MOCKED = re.compile(r"\bmock\.patch|monkeypatch\.setattr\((\"|')?(orch|services)\b")


def long_files(files: tuple[Source, ...]) -> list[str]:
    """Files over the limit."""
    counted = ((file, len(file.text.splitlines())) for file in files if file.path not in WHOLE)
    return [f"{file.path}: {lines} lines" for file, lines in counted if lines > FILE_LINES]


def long_lines(files: tuple[Source, ...]) -> list[str]:
    """Lines over the limit; a note to a tool at the end does not count."""
    return [
        f"{file.path}:{number}: {len(line)} characters"
        for file in files
        for number, line in enumerate(file.text.splitlines(), 1)
        if len(PRAGMA.sub("", line)) > LINE_LENGTH
    ]


def long_functions(files: tuple[Source, ...]) -> list[str]:
    """Functions over the limit, docstring included."""
    return [
        f"{file.path}:{node.lineno}: {node.name} has {size} lines"
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    ]


def vague_names(files: tuple[Source, ...]) -> list[str]:
    """Files and classes named after nothing in particular."""
    problems = [
        f"{file.path}: {part} says nothing"
        for file in files
        for part in file.path.removesuffix(".py").split("/")
        if part.lower() in BANNED_NAMES or BANNED_WORD in part.lower()
    ]
    for file in files:
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ClassDef):
                words = re.findall(r"[A-Z][a-z]+|[a-z]+", node.name)
                if any(word.lower() in {*BANNED_NAMES, BANNED_WORD} for word in words):
                    problems.append(f"{file.path}:{node.lineno}: {node.name} says nothing")
    return problems


def undocumented(files: tuple[Source, ...]) -> list[str]:
    """Modules, public classes and public functions without a docstring."""
    problems = []
    for file in files:
        if not ast.get_docstring(file.tree):
            problems.append(f"{file.path}: the module has no docstring")
        problems += [
            f"{file.path}:{node.lineno}: {node.name} has no docstring"
            for node in public(file.tree)
            if not ast.get_docstring(node)
        ]
    return problems


def public(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Public classes, functions, and methods of public classes (overloads and overrides apart)."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            if "overload" not in {ast.unparse(mark) for mark in node.decorator_list}:
                yield node
        elif isinstance(node, ast.ClassDef) and node.name[0] != "_":
            yield node
            for child in node.body:
                if (
                    isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                    and child.name[0] != "_"
                    and not {"override", "overload"}
                    & {ast.unparse(mark).rpartition(".")[2] for mark in child.decorator_list}
                ):
                    yield child


def undone(files: tuple[Source, ...]) -> list[str]:
    """Notes of work left for later."""
    return [f"{file.path}: {found[0]}" for file in files for found in UNDONE.finditer(file.text)]


def skipped(files: tuple[Source, ...]) -> list[str]:
    """Tests that do not run, and code of ours swapped under a test."""
    return [
        f"{file.path}: {found[0]}"
        for file in files
        if not file.path.startswith(("tests/real/", "tests/bench/"))
        for rule in (SKIPPED, MOCKED)
        for found in rule.finditer(file.text)
    ]


def unreachable(files: tuple[Source, ...]) -> list[str]:
    """Files that no entry point leads to, by import or by name in a table."""
    by_module = {file.module: file for file in files}
    seen: set[str] = set()
    ahead = [
        file.module
        for file in files
        if file.path.endswith("/__main__.py") or re.fullmatch(r"services\.\w+", file.module)
    ]
    while ahead:
        module = ahead.pop()
        if module in seen or module not in by_module:
            continue
        seen.add(module)
        parts = module.split(".")
        ahead += [".".join(parts[:n]) for n in range(1, len(parts))]
        for name in named(by_module[module]):
            ahead += [name, name.rpartition(".")[0]]
    return [f"{by_module[lost].path}: nothing leads here" for lost in sorted({*by_module} - seen)]


def named(source: Source) -> Iterator[str]:
    """Modules that a file imports, or names in a string (`orch.cli.task`, `orch.cli.task:add`)."""
    yield from (name for name, _ in imports(source))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            if re.fullmatch(r"(orch|services)(\.\w+)+", name):
                yield name
                yield f"{name}.__main__"


def everything() -> tuple[Source, ...]:
    """Shipped files and tests; the rules themselves must be able to name what they forbid."""
    return tuple(
        file for file in sources("orch", "services", "tests") if "tests/house/" not in file.path
    )


@pytest.mark.parametrize(
    "rule", [long_files, long_functions, vague_names, long_lines], ids=lambda rule: rule.__name__
)
def test_every_file_is_small_and_well_named(rule):
    assert rule(sources("orch", "services", "tests")) == []


@pytest.mark.parametrize("rule", [undocumented, unreachable], ids=lambda rule: rule.__name__)
def test_every_shipped_file_is_documented_and_reached(rule):
    assert rule(shipped()) == []


@pytest.mark.parametrize("rule", [undone, skipped], ids=lambda rule: rule.__name__)
def test_nothing_is_left_undone(rule):
    assert rule(everything()) == []


def test_test_files_have_unique_names():
    names = sorted(file.path.rpartition("/")[2] for file in sources("tests"))
    twice = {a for a, b in pairwise(names) if a == b and a.startswith("test_")}
    assert twice == set()


def test_what_may_be_longer_still_exists():
    assert [path for path in WHOLE if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "rule, path, code",
    [
        (long_files, "orch/core/x.py", "\n" * (FILE_LINES + 1)),
        (long_lines, "orch/core/x.py", "x = 1  #" + "." * 100),
        (long_functions, "orch/core/x.py", "def f():\n" + "    x = 1\n" * 60),
        (vague_names, "orch/core/utils.py", ""),
        (vague_names, "orch/session_manager.py", ""),
        (vague_names, "orch/core/x.py", "class TaskManager: pass"),
        (vague_names, "orch/core/x.py", "class BaseTask: pass"),
        (undocumented, "orch/core/x.py", "x = 1"),
        (undocumented, "orch/core/x.py", "'''Doc.'''\ndef f(): pass"),
        (undocumented, "orch/core/x.py", "'''Doc.'''\nclass A: x = 1"),
        (undocumented, "orch/core/x.py", "'''Doc.'''\nclass A:\n  'a'\n  def f(self): pass"),
        (undone, "orch/core/x.py", "# TO" + "DO: later"),
        (undone, "orch/core/x.py", "raise Not" + "ImplementedError"),
        (skipped, "tests/unit/test_x.py", "pytest." + "skip('no')"),
        (skipped, "tests/unit/test_x.py", "@pytest.mark." + "xfail"),
        (skipped, "tests/unit/test_x.py", "with mock." + "patch('orch.core.x.y'): pass"),
        (unreachable, "orch/core/x.py", "'''Doc.'''"),
    ],
)
def test_a_broken_rule_is_seen(rule, path, code):
    assert len(rule((Source(path, code),))) == 1


def test_a_file_is_reached_by_import_by_name_in_a_table_or_as_a_package():
    files = (
        Source("orch/__init__.py", ""),
        Source("orch/__main__.py", "T = {'task': 'orch.cli.task'}\nfrom orch import model"),
        Source("orch/model.py", ""),
        Source("orch/cli/__init__.py", ""),
        Source("orch/cli/task.py", "from orch.cli.show import show"),
        Source("orch/cli/show.py", ""),
        Source("orch/cli/lost.py", ""),
    )
    assert unreachable(files) == ["orch/cli/lost.py: nothing leads here"]


def test_private_functions_and_overrides_need_no_docstring():
    code = "'''Doc.'''\ndef _f(): pass\nclass A:\n  'a'\n  @override\n  def f(self): pass"
    assert undocumented((Source("orch/core/x.py", code),)) == []


def test_the_rules_read_this_project():
    assert any(within(file.module, "orch.core") for file in shipped())
