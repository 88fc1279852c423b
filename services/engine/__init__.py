"""The engine process: decides about tasks; the only writer of orch.db."""


def main() -> None:
    """Run the engine; everything else comes from the environment (`ORCH_HOME`, `ORCH_FDS`)."""
    from orch.service import run  # noqa: PLC0415 - imported when the process runs, not by orchd
    from services.engine.engine import Engine  # noqa: PLC0415

    raise SystemExit(run(Engine))
