"""Capture: the eyes and hands of live sessions: output out, input in, screens."""

from orch.service import run
from services.capture.service import Capture


def main() -> None:
    """Serve until stopped."""
    raise SystemExit(run(Capture))
