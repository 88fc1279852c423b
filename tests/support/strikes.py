"""Letting the engine of a `mortal` world die at one inner moment after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.support.world import World


def strikes(world: World, most: int, do: Callable[[str], None]) -> Iterator[str]:
    """Do something again and again (`do` is given a name for each time), the engine dying at the
    first, the second, … moment of it, until there is no such moment; yields the moment each time
    after it was survived."""
    here = world.root / "strike"
    for step in range(1, most):
        (here / "died").unlink(missing_ok=True)
        counted = here / "count"
        before = counted.stat().st_size if counted.exists() else 0
        (here / "strike").write_text(str(before + step))
        do(f"t{step}")
        if not (here / "died").exists():
            (here / "strike").write_text("0")
            return
        yield (here / "died").read_text()
    raise AssertionError(f"it has more than {most} moments")
