"""What importing does: starts nothing, opens nothing, and stays light on the fast path."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house.source import ROOT, shipped

HEAVY_LIST = """aiohttp apsw asyncio croniter discord jinja2 psutil pyte rich ruamel setproctitle
telegram textual watchdog yaml"""
HEAVY = tuple(HEAVY_LIST.split())
"""Too slow for a command that asks one question (`orch task list`)."""

LOOK = """
import os, sys, threading
def state():
    return threading.active_count(), sorted(os.listdir("/dev/fd")), children(), contexts()
def children():
    try:
        return open(f"/proc/self/task/{os.getpid()}/children").read()
    except OSError:
        return ""
def contexts():
    zmq = sys.modules.get("zmq")
    return "made" if zmq is not None and getattr(zmq.Context, "_instance", None) else ""
"""


def left_by_import(modules: list[str], *, path: str = str(ROOT)) -> str:
    """What importing `modules` in a fresh interpreter left running or open ('' for nothing)."""
    code = (
        f"import sys; sys.path.insert(0, {path!r})\n"
        "import zmq, importlib, logging, ctypes\n"
        f"{LOOK}\nbefore = state()\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    if state() != before:\n"
        "        print(name, before, state()); break\n"
        "else:\n"
        "    logging.root.handlers and print('log handlers:', logging.root.handlers)\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
    )
    return run.stdout + run.stderr


def loaded_by(*argv: str, home: str) -> set[str]:
    """The heavy modules that `orch ARGV` has loaded when it ends."""
    code = (
        "import sys\nfrom orch.cli.main import run\n"
        f"run({list(argv)!r})\n"
        f"print('loaded', *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env={"ORCH_HOME": home, "PATH": "/usr/bin:/bin", "HOME": home, "PYTHONPATH": str(ROOT)},
    )
    last = [line for line in run.stdout.splitlines() if line.startswith("loaded")]
    assert last, run.stdout + run.stderr
    return set(last[-1].split()[1:])


def test_no_module_starts_or_opens_anything_at_import():
    modules = [file.module for file in shipped() if not file.path.endswith("__main__.py")]
    assert left_by_import(modules) == ""


@pytest.mark.parametrize(
    "code",
    [
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "import socket; kept = socket.socket()",
        "import zmq; kept = zmq.Context.instance()",
        "import subprocess; kept = subprocess.Popen(['sleep', '1'])",
        "import logging; logging.basicConfig()",
    ],
)
def test_a_module_that_does_is_seen(code, tmp_path):
    (tmp_path / "eager.py").write_text(code)
    assert left_by_import(["eager"], path=str(tmp_path)) != ""


@pytest.mark.parametrize(
    "argv", [("version",), ("task", "list"), ("task", "add", "x"), ("status",), ("tail",)]
)
def test_a_command_that_asks_one_question_imports_nothing_heavy(argv, short_home):
    assert loaded_by(*argv, home=str(short_home)) == set()


def test_a_heavy_import_is_seen(short_home):
    assert loaded_by("template", "/dev/null", home=str(short_home)) == {"jinja2"}
