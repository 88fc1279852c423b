"""What people install: a wheel with everything in it, working from a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.world import ROOT


def test_a_wheel_holds_prompts_units_migrations_and_services_and_finds_them(tmp_path: Path):
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(tmp_path), str(ROOT)], check=True, capture_output=True)
    [wheel] = tmp_path.glob("orchd-*.whl")
    place = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(place)
    for name in (
        "orch/_data/prompts/agent.md",
        "orch/_data/contrib/systemd",
        "orch/_data/contrib/launchd",
        "orch/_data/contrib/homebrew/orchd.rb",
        "orch/store/migrations/0001_first.sql",
        "services/engine/engine.py",
    ):
        assert (place / name).exists(), name
    code = (
        "from pathlib import Path; from orch.paths import data; from orch.store.db import Store;"
        "import sys; print(data('prompts') / 'agent.md'); Store(Path(sys.argv[1]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "orch.db")],
        env={**os.environ, "PYTHONPATH": str(place)},
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stdout.strip() == str(place / "orch/_data/prompts/agent.md")
    assert (tmp_path / "orch.db").stat().st_mode & 0o777 == 0o600
    command = [sys.executable, "-m", "orch", "service", "install", "--systemd", "--json"]
    home = {"HOME": str(tmp_path), "ORCH_HOME": str(tmp_path / "h"), "PATH": "/nowhere"}
    made = subprocess.run(
        command, env={**home, "PYTHONPATH": str(place)}, cwd=tmp_path, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    unit = Path(json.loads(made.stdout)["path"]).read_text()
    assert f"Environment=PYTHONPATH={place}" in unit, "it starts what it was installed from"
