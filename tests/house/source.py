"""The project's source files as values, so that every rule is a function over them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """One Python file: its path below the project's root, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        """The dotted name by which it is imported."""
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @property
    def is_package(self) -> bool:
        """Whether the file is a package's `__init__`."""
        return self.path.endswith("/__init__.py")


def sources(*folders: str) -> tuple[Source, ...]:
    """Every Python file below `folders` (of the project's root)."""
    return tuple(file for folder in folders for file in _below(folder))


@cache
def _below(folder: str) -> tuple[Source, ...]:
    return tuple(
        Source(str(path.relative_to(ROOT)), path.read_text())
        for path in sorted((ROOT / folder).rglob("*.py"))
    )


def shipped() -> tuple[Source, ...]:
    """What is installed: `orch` and `services`."""
    return sources("orch", "services")


def imports(source: Source, *, at_runtime: bool = False) -> Iterator[tuple[str, int]]:
    """Each imported dotted name with its line, imports inside functions included.

    `from a.b import c` gives `a.b.c`: whether `c` is a module is for the reader to know.
    `at_runtime` leaves out what stands below `if TYPE_CHECKING`.
    """
    typing_only = set[ast.AST]()
    if at_runtime:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                typing_only.update(deep for child in node.body for deep in ast.walk(child))
    for node in ast.walk(source.tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                parts = source.module.split(".")
                keep = len(parts) - node.level + (1 if source.is_package else 0)
                start = ".".join([*parts[:keep], *filter(None, [node.module])])
            yield from ((f"{start}.{alias.name}", node.lineno) for alias in node.names)


def within(module: str, package: str) -> bool:
    """Whether `module` is `package` or lies below it."""
    return module == package or module.startswith(f"{package}.")
