"""What an attempt is told comes from its worktree, its branch and its folders."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from orch.config.schema import Config, Workflow
from orch.core.prompt import Known
from orch.model import Attempt, Phase, Task
from orch.paths import Home
from orch.tools.project import instructions
from services.engine.prompts import for_agent

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]


def git(folder: Path, *words: str) -> str:
    ran = subprocess.run([*GIT, "-C", str(folder), *words], check=True, capture_output=True)
    return ran.stdout.decode().strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "CLAUDE.md").write_text("Use SI units.\n")
    (folder / "AGENTS.md").symlink_to("CLAUDE.md")
    (folder / "README.md").write_text("A house.\n" + "x" * 70_000)
    (folder / os.fsdecode(b"odd\xff\nname")).touch()
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Begin")
    return folder


def test_all_of_it_reaches_the_prompts(tmp_path, tree):
    base = git(tree, "rev-parse", "HEAD")
    (tree / "hinge.py").write_text("x = 1\n")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "Hinge")
    home = Home(tmp_path / "home")
    for key, text in (("int-1", "built in 1900"), ("int-2", "the wood is oak")):
        folder = home.state / "internal" / "tasks" / key
        folder.mkdir(parents=True)
        (folder / "context.md").write_text(text)
    attempt = Attempt(
        id=1, task="int-2", n=1, phase=Phase.RUNNING, fence=1, agent="claude",
        worktree=str(tree), branch="orch/2", base=base,
    )  # fmt: skip
    task = Task(key="int-2", project="o/r", title="t", body="half \ud800")
    known = Known(attempt=1, parent=Task(key="int-1", project="o/r", title="The house"))
    config = Config(workflow=Workflow(required_tools=("git",)))

    told = for_agent(home, task, attempt, tree, config, known)

    assert "Use SI units." in told.system
    assert "AGENTS.md of the project" not in told.system, "the same text once"
    assert "more bytes are left out" in told.system, "the README is long"
    assert "count on these programs: git" in told.system
    names = told.system.partition("names of files\n")[2].split("\n>>>")[0].split("\n")
    assert {"CLAUDE.md", "hinge.py"} <= set(names)
    assert "the wood is oak" in told.message
    assert "built in 1900" in told.message
    assert "hinge.py" in told.message
    (told.system + told.message).encode()


def test_instructions_that_lead_out_or_are_no_files_are_none(tmp_path, tree):
    secret = tmp_path / "id_rsa"
    secret.write_text("hidden")
    (tree / "CLAUDE.md").unlink()
    (tree / "CLAUDE.md").symlink_to(secret)
    (tree / "README.md").unlink()
    os.mkfifo(tree / "README.md")
    (tree / "AGENTS.md").unlink()
    (tree / "AGENTS.md").symlink_to("AGENTS.md")
    assert instructions(tree) == ()
    (tree / "AGENTS.md").unlink()
    (tree / "AGENTS.md").mkdir()
    assert instructions(tree) == ()
