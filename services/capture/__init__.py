"""Capture: the eyes and hands of live sessions: output out, input in, screens."""

from __future__ import annotations


def main() -> None:
    """Serve until stopped."""
    from orch.service import run  # noqa: PLC0415 (so that naming this package costs nothing)
    from services.capture.service import Capture  # noqa: PLC0415

    raise SystemExit(run(Capture))
