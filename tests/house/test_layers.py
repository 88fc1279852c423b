"""Imports point down the layers; each library and door has its one place."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import pytest

from tests.house.source import ROOT, Source, imports, shipped, within

VALUE_LIST = """
    __future__ abc base64 bisect calendar collections colorsys contextlib copy dataclasses
    datetime decimal difflib enum fnmatch fractions functools hashlib heapq html itertools json
    keyword math operator posixpath re shlex statistics string struct textwrap types typing
    unicodedata urllib.parse zoneinfo msgspec croniter"""
VALUE_MODULES = frozenset(VALUE_LIST.split())
"""What rows 0 to 2 may import beside each other: no clock, no socket, no file, no process."""

IMPURE_CALLS = frozenset({"open", "input", "print", "exec", "eval"})
IMPURE_METHODS = frozenset({"now", "utcnow", "today", "read_text", "write_text", "read_bytes"})

PLACES = {
    "apsw": ("orch.store",),
    "click": ("orch.cli", "orch.__main__"),
    "zmq": ("orch.service", "orch.client"),
    "subprocess": ("orch.tools.process", "orch.supervisor.spawn", "orch.session"),
    "orch.store": ("orch.store", "services.engine"),
}
"""A module, and the only places that may import it."""

SESSION_MAY = ("orch.model", "orch.errors", "orch.agents", "orch.session")


@dataclass(frozen=True)
class Layer:
    """A row of the table in ARCHITECTURE.md: its packages and the rows it may import."""

    row: int
    packages: tuple[str, ...]
    may: frozenset[int]


def layers(text: str) -> list[Layer]:
    """The layer table of ARCHITECTURE.md."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) < 3 or not cells[0].isdigit():
            continue
        numbers = [int(n) for n in re.findall(r"\d+", cells[2])]
        may = frozenset(range(numbers[0], numbers[-1] + 1)) if numbers else frozenset()
        packages = tuple(name.removesuffix(".*") for name in re.findall(r"`([\w.*]+)`", cells[1]))
        found.append(Layer(int(cells[0]), packages, may))
    return found


TABLE = layers((ROOT / "ARCHITECTURE.md").read_text())


def home_of(module: str) -> tuple[Layer, str] | None:
    """The layer and package that `module` belongs to; each service is a package of its own."""
    if module == "orch.__main__":
        module = "orch.cli"
    for layer in TABLE:
        for package in layer.packages:
            if within(module, package):
                own = ".".join(module.split(".")[:2]) if package == "services" else package
                return layer, own
    return None


def wrong_imports(files: tuple[Source, ...]) -> list[str]:
    """Imports that point up or sideways, and modules that stand in no layer."""
    problems = []
    for file in files:
        home = home_of(file.module)
        if home is None:
            if not file.is_package:
                problems.append(f"{file.path}: stands in no row of the table in ARCHITECTURE.md")
            continue
        layer, package = home
        for name, line in imports(file):
            target = home_of(name)
            if target is None or target[1] == package:
                continue
            if target[0].row not in layer.may:
                problems.append(f"{file.path}:{line}: row {layer.row} imports {name}")
    return problems


def misplaced(files: tuple[Source, ...]) -> list[str]:
    """Imports of a library or a door outside its place."""
    return [
        f"{file.path}:{line}: {name} belongs to {', '.join(places)} alone"
        for file in files
        for name, line in imports(file)
        for library, places in PLACES.items()
        if within(name, library) and not any(within(file.module, place) for place in places)
    ]


def impure(files: tuple[Source, ...]) -> list[str]:
    """What rows 0 to 2 do that is not pure: a clock, a file, a socket, a process."""
    import ast

    problems = []
    for file in files:
        home = home_of(file.module)
        if home is None or home[0].row > 2:
            continue
        for name, line in imports(file):
            if not within(name, "orch") and not any(within(name, ok) for ok in VALUE_MODULES):
                problems.append(f"{file.path}:{line}: imports {name}")
        for node in ast.walk(file.tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
                problems.append(f"{file.path}:{node.lineno}: calls {called.id}()")
            if isinstance(called, ast.Attribute) and called.attr in IMPURE_METHODS:
                problems.append(f"{file.path}:{node.lineno}: calls .{called.attr}()")
    return problems


def heavy_sessions(files: tuple[Source, ...]) -> list[str]:
    """What the session process imports beside the standard library, msgspec and its few nouns."""
    return [
        f"{file.path}:{line}: the session process imports {name}"
        for file in files
        if within(file.module, "orch.session")
        for name, line in imports(file, at_runtime=True)
        if not any(within(name, ok) for ok in SESSION_MAY)
        and name.split(".")[0] not in {*sys.stdlib_module_names, "msgspec"}
    ]


RULES = [wrong_imports, misplaced, impure, heavy_sessions]


def test_the_table_of_layers_is_read_whole():
    assert [layer.row for layer in TABLE] == list(range(9))
    assert TABLE[8].may == frozenset(range(7)), "services import neither the CLI nor orchd"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_layers_hold(rule):
    assert rule(shipped()) == []


@pytest.mark.parametrize(
    "rule, path, code",
    [
        (wrong_imports, "orch/core/status.py", "from orch.store import tasks"),
        (wrong_imports, "orch/core/status.py", "def late():\n    import orch.client"),
        (wrong_imports, "orch/errors.py", "from orch.model import Status"),
        (wrong_imports, "orch/hosts/local.py", "from orch import client"),
        (wrong_imports, "services/capture.py", "from services.engine import loop"),
        (wrong_imports, "services/scheduler.py", "from orch.cli.show import show"),
        (wrong_imports, "orch/strange.py", "pass"),
        (misplaced, "orch/tools/git.py", "import subprocess"),
        (misplaced, "orch/cli/task.py", "from orch.store.db import open_db"),
        (misplaced, "services/capture.py", "import apsw"),
        (misplaced, "orch/service.py", "import click"),
        (misplaced, "orch/cli/tail.py", "import zmq"),
        (impure, "orch/core/dispatch.py", "import time"),
        (impure, "orch/core/prompt.py", "text = open('x').read()"),
        (impure, "orch/agents/shell.py", "import os"),
        (impure, "orch/core/budget.py", "import datetime\nx = datetime.datetime.now()"),
        (heavy_sessions, "orch/session/run.py", "import zmq"),
        (heavy_sessions, "orch/session/run.py", "from orch.paths import Home"),
    ],
)
def test_a_broken_layer_is_seen(rule, path, code):
    assert len(rule((Source(path, code),))) == 1


@pytest.mark.parametrize(
    "path, code",
    [
        ("orch/core/dispatch.py", "from orch.core import status\nfrom orch.model import Task"),
        ("orch/store/tasks.py", "import apsw\nfrom . import db"),
        ("services/engine/loop.py", "from services.engine import effects\nimport orch.store.tasks"),
        ("orch/session/run.py", "import os, subprocess, msgspec\nfrom orch.agents import shell"),
    ],
)
def test_a_good_file_breaks_no_layer(path, code):
    assert [problem for rule in RULES for problem in rule((Source(path, code),))] == []
