"""The engine process: decides about tasks; the only writer of orch.db."""

from orch.service import run
from services.engine.engine import Engine


def main() -> None:
    """Run the engine; everything else comes from the environment (`ORCH_HOME`, `ORCH_FDS`)."""
    raise SystemExit(run(Engine))
