"""The rules of making a process: what a child starts with, and what orchd may not have."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from orch.paths import Home
from orch.supervisor import leftovers
from orch.supervisor.notify import Notifier
from tests.support.scratch_orchd import ROOT, alive, eventually

LOOK = """
import json, os, signal, sys
def main():
    seen = {
        "fds": {fd: os.readlink(f"/proc/self/fd/{fd}").split(":")[0]
                for fd in sorted(os.listdir("/proc/self/fd"), key=int)
                if os.path.exists(f"/proc/self/fd/{fd}")},
        "named": os.environ["ORCH_FDS"],
        "cwd": os.getcwd(),
        "leads": os.getsid(0) == os.getpgid(0) == os.getpid(),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "term": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "hup": signal.getsignal(signal.SIGHUP) is signal.SIG_DFL,
        "wakeup": signal.set_wakeup_fd(-1),
        "extra": os.environ["EXTRA"],
        "faults": __import__("faulthandler").is_enabled(),
    }
    print(json.dumps(seen), flush=True)
    os.write(3, b"READY\\n")
    sys.exit(7)
if __name__ == "__main__":
    main()
"""

HARNESS = """
import os, signal, socket, sys, logging
from pathlib import Path
from orch.supervisor import spawn
mode, folder = spawn.Mode(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(folder))
wake, waker = socket.socketpair()
waker.setblocking(False)
signal.set_wakeup_fd(waker.fileno())
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda *_: None)
logging.getLogger().addHandler(logging.FileHandler(folder / "own.log"))
held = [os.open(folder, os.O_RDONLY) for _ in range(20)]
ours, theirs = socket.socketpair()
fds = {"lifeline": theirs.fileno(), "req": held[0], "pub": wake.fileno()}
order = spawn.Order(name="looker", module=sys.argv[3], fds=fds, environment={"EXTRA": "yes"},
                    folder=folder, output=folder / "looker.out")
before = sorted(os.listdir("/proc/self/fd"))
pid = spawn.spawn(order, mode)
theirs.close()
said = ours.recv(100)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(said.decode().strip(), status, os.getpid(), spawn.threads())
"""


def run(script: str, *arguments: str, path: Path = ROOT) -> str:
    """What a script prints, run by a clean interpreter that finds orch and `path`."""
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{path}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def run_harness(folder: Path, mode: str) -> list[str]:
    """Spawn the looker from a clean process; what that process printed, by words."""
    return run(HARNESS, mode, str(folder), "scratch_looker", path=folder).split()


def test_a_forked_child_starts_with_nothing_of_orchds(short_home):
    (short_home / "scratch_looker.py").write_text(LOOK)
    said = run_harness(short_home, "fork")
    assert said[:2] == ["READY", "7"]
    seen = json.loads((short_home / "looker.out").read_text())
    expected = {"0": "/dev/null", "1": f"{short_home}/looker.out", "2": f"{short_home}/looker.out"}
    assert seen["fds"] == {**expected, "3": "socket", "4": str(short_home), "5": "socket"}
    assert seen["named"] == "lifeline=3,req=4,pub=5"
    assert (seen["leads"], seen["blocked"], seen["wakeup"]) == (True, [], -1)
    assert (seen["term"], seen["hup"], seen["faults"]) == (True, True, True)
    assert (seen["cwd"], seen["extra"]) == (str(short_home), "yes")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("raise RuntimeError('bad luck')", "70", "RuntimeError: bad luck"),
        ("raise SystemExit('told you')", "1", "told you"),
        ("raise SystemExit", "0", ""),
        ("raise KeyboardInterrupt", "70", "KeyboardInterrupt"),
        ("return None", "0", ""),
    ],
)
def test_nothing_that_a_forked_child_raises_returns_into_orchds_loop(
    short_home, body, status, said
):
    source = f"import os\ndef main():\n    os.write(3, b'READY')\n    {body}\n"
    (short_home / "scratch_looker.py").write_text(source)
    words = run_harness(short_home, "fork")
    assert words[:2] == ["READY", status]
    assert len(words) == 4, "the child's exception came back"
    assert said in (short_home / "looker.out").read_text()


def test_a_process_with_threads_never_forks(short_home):
    (short_home / "scratch_thread.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    script = HARNESS.replace("pid = spawn", "import scratch_thread\npid = spawn")
    said = run(script, "fork", str(short_home), "scratch_absent", path=short_home)
    assert "No module named scratch_absent" in (short_home / "looker.out").read_text()
    assert said.split()[-1] == "2"


def test_importing_all_that_orchd_preloads_starts_nothing():
    script = (
        "import os, sys\n"
        "from orch.supervisor import roster, spawn\n"
        "import orch.supervisor.__main__\n"
        "before = len(os.listdir('/proc/self/fd'))\n"
        "failed = spawn.preload(roster.BUILT_IN.modules())\n"
        "import zmq\n"
        "print(spawn.threads(), len(os.listdir('/proc/self/fd')) - before,\n"
        "      zmq.Context._instance is None, 'asyncio' in sys.modules, failed)\n"
    )
    words = run(script).split(maxsplit=4)
    assert words[:3] == ["1", "0", "True"], words


def test_a_leftover_is_ended_and_another_process_with_its_pid_is_not(short_home):
    home = Home(short_home)
    home.make()
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo; sleep 1000 & wait; wait"],
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    assert stubborn.stdout.readline() == b"\n", "it is stubborn from here on"
    other = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        born = leftovers.started(stubborn.pid)
        written = [
            leftovers.Recorded("stubborn", stubborn.pid, born),
            leftovers.Recorded("reused", other.pid, f"{born}0"),
            leftovers.Recorded("gone", 2**22 - 7, born),
        ]
        leftovers.record(home, written)
        os.kill(stubborn.pid, signal.SIGSTOP)
        # the zombie keeps its number until it is waited for, as under an init that is busy
        assert leftovers.sweep(home) == ["stubborn"]
        assert stubborn.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        assert leftovers.sweep(home) == []
    finally:
        for process in (stubborn, other):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def test_what_a_dead_service_left_in_its_group_is_ended_too(short_home):
    home = Home(short_home)
    home.make()
    leader = subprocess.Popen(
        ["sh", "-c", "sleep 1000 & echo $!; read line"],
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    grandchild = int(leader.stdout.readline())
    leftovers.record(home, [leftovers.Recorded("x", leader.pid, leftovers.started(leader.pid))])
    leader.stdin.close()
    leader.wait(20)
    assert alive(grandchild)
    leftovers.sweep(home)
    eventually(lambda: not alive(grandchild), "the grandchild is gone")


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_told_and_children_are_not_tempted(short_home, monkeypatch, kind):
    name = str(short_home / "notify") if kind == "path" else f"\0{short_home}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(10)
        systemd.bind(name)
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000000")
        notifier = Notifier()
        assert "NOTIFY_SOCKET" not in os.environ
        notifier.tell("READY=1", "STATUS=well")
        assert systemd.recv(100) == b"READY=1\nSTATUS=well"
        assert notifier.watchdog_seconds == 10.0
    notifier.tell("STOPPING=1")  # nobody listens any more
