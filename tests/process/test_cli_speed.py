"""What a command imports: the smallest nothing, the quick ones nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.paths import Home
from tests.process.canned_engine import Canned

HEAVY = {
    *("asyncio", "rich", "jinja2", "yaml", "ruamel", "apsw", "psutil", "watchdog", "pyte"),
    *("croniter", "logging", "socket", "aiohttp", "subprocess", "http", "wcwidth", "unittest"),
    *(
        "services",
        "orch.store",
        "orch.service",
        "orch.config",
        "orch.tools",
        "orch.session",
        "orch.follow",
    ),
    *("orch.cli.act", "orch.cli.live", "orch.cli.tail", "orch.cli.status", "orch.supervisor"),
}

PROBE = """
import sys
sys.argv = ["orch", *{words!r}]
import os
def leave(code):
    names = sorted(sys.modules)
    sys.stderr.write("\\n" + __import__("json").dumps(names))
    sys.stderr.flush()
    os.kill(os.getpid(), 9)
os._exit = leave
from orch.__main__ import main
leave(main())
"""


@pytest.fixture
def canned(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    monkeypatch.setenv("ORCH_HOME", str(short_home))
    (short_home / ".orch.yml").write_text("gh:\n  repo: octo/demo\n")
    monkeypatch.chdir(short_home)
    made = Canned(Home(short_home))
    made.engine.put(key="int-1")
    yield made
    made.close()


def imported(*words: str) -> set[str]:
    """The modules that a command has imported when it leaves."""
    code = PROBE.format(words=words)
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    names: list[str] = json.loads(ran.stderr.decode().rpartition("\n")[2])
    return set(names)


def test_version_and_ping_import_next_to_nothing(canned: Canned) -> None:
    bare = "import sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, check=True)
    plain = set(ran.stdout.split())
    for words in (["version"], ["version", "--json"], ["ping"], ["--version"]):
        extra = imported(*words) - plain
        assert extra <= {
            *(
                "orch",
                "orch.__main__",
                "orch.cli",
                "orch.cli.quick",
                "gc",
                "_socket",
                "orch.control_ping",
            ),
        }, f"{words} imports {sorted(extra)}"


@pytest.mark.parametrize("words", [("task", "list"), ("task", "get", "1"), ("task", "add", "x")])
def test_a_quick_command_imports_nothing_heavy(canned: Canned, words: tuple[str, ...]) -> None:
    found = imported(*words)
    heavy = {name for name in found if any(name == h or name.startswith(f"{h}.") for h in HEAVY)}
    assert heavy == set()
    assert {"click", "msgspec", "zmq", "orch.cli.task_group"} <= found


def test_help_imports_no_command_and_no_zmq() -> None:
    found = imported("task")
    assert not found & {"zmq", "orch.cli.task", "orch.cli.act", "orch.cli.live", "orch.client"}
