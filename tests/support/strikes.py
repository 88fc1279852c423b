"""Letting the engine of a `mortal` world die at one inner moment after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from tests.support.world import World


def strikes(world: World, do: Callable[[str], None]) -> Iterator[str]:
    """Do something once to learn its moments (`do` is given a name for each time), then once more
    for each of them, the engine dying there; yields the moment each time after it was survived."""
    here = world.root / "strike"
    file = here / "moments"

    def noted() -> list[str]:
        return file.read_text().splitlines() if file.exists() else []

    before = len(noted())
    do("measure")
    seen: Counter[str] = Counter()
    for number, name in enumerate(noted()[before:], start=1):
        seen[name] += 1
        (here / "died").unlink(missing_ok=True)
        (here / "strike").write_text(f"{len(noted())} {seen[name]} {name}")
        do(f"t{number}")
        if (here / "died").exists():
            yield f"{name} ({seen[name]})"
    (here / "strike").write_text("0")
