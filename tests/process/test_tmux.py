"""The private tmux server: real tmux, exact names, honest about what it does not know."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orch.errors import ToolFailed, Unknown
from orch.tools import process, tmux
from orch.tools.tmux import Tmux
from tests.support.scratch_sessions import until

SLEEP = ("sleep", "1000")


@pytest.fixture
def server(short_home) -> Iterator[Tmux]:
    made = Tmux(short_home / "tmux")
    yield made
    with_pid = pid(made)
    if with_pid:
        os.kill(with_pid, signal.SIGCONT)
    made.kill_server()


def pid(server: Tmux) -> int:
    """The server's pid, as it noted it; 0 when it does not run."""
    try:
        found = int(Path(f"{server.path}.pid").read_text().split()[0])
    except OSError:
        return 0
    return found if process.started(found) is not None else 0


def test_a_server_that_was_never_started_has_no_sessions_and_is_not_started_by_asking(server):
    assert server.sessions() == {}
    assert server.kill_session("orch-a-1") is False
    assert not server.path.exists()


def test_a_session_runs_its_program_without_a_shell_in_its_folder(server, short_home):
    odd = ("sh", "-c", 'printf "%s|" "$@" > out; pwd > cwd; exec sleep 1000', "x")
    words = [
        "a b",
        "$HOME",
        "`x`",
        "'",
        '"',
        ";",
        "tail;",
        "\\",
        "~",
        "#{pid}",
        "",
        "\n",
        "żó€",
        "{",
    ]
    folder = short_home / "od d"
    folder.mkdir()

    server.new_session("orch-a-1", [*odd, *words], str(folder))

    until(lambda: (folder / "cwd").exists() and (folder / "cwd").read_text(), "the program")
    assert (folder / "out").read_text() == "|".join(words) + "|"
    assert (folder / "cwd").read_text().strip() == str(folder)
    assert list(server.sessions()) == ["orch-a-1"]
    assert psutil.Process(server.sessions()["orch-a-1"]).name() == "sleep"


def test_a_single_word_is_a_program_not_a_shell_command(server, short_home):
    script = short_home / "it; touch hacked"
    script.write_text("#!/bin/sh\nexec sleep 1000\n")
    script.chmod(0o700)
    server.new_session("orch-a-1", [str(script)], str(short_home))
    until(lambda: "sleep" in psutil.Process(server.sessions()["orch-a-1"]).name(), "the program")
    assert not (short_home / "hacked").exists()


def test_targets_are_exact_so_4_is_not_42(server):
    server.new_session("orch-app-42", SLEEP, "/")
    assert server.kill_session("orch-app-4") is False
    assert server.kill_session("orch-app") is False
    assert list(server.sessions()) == ["orch-app-42"]
    server.new_session("orch-app-4", SLEEP, "/")
    assert server.kill_session("orch-app-4") is True
    assert list(server.sessions()) == ["orch-app-42"]


def test_a_name_is_used_once(server):
    server.new_session("orch-a-1", SLEEP, "/")
    with pytest.raises(ToolFailed, match="duplicate session"):
        server.new_session("orch-a-1", SLEEP, "/")


def test_the_server_lives_outside_our_group_and_session_with_a_clean_environment(
    server, monkeypatch
):
    monkeypatch.setenv("ORCH_HOME", "/secret")
    monkeypatch.setenv("ORCH_GENERATION", "7")
    monkeypatch.setenv("TMUX", "/tmp/other,1,0")
    monkeypatch.setenv("GH_TOKEN", "token")
    server.new_session("orch-a-1", SLEEP, "/")

    made = pid(server)

    assert os.getsid(made) == made != os.getsid(0)
    assert os.getpgid(made) != os.getpgid(0)
    seen = set(psutil.Process(made).environ())
    assert not {name for name in seen if name.startswith("ORCH_")} | (seen & {"TMUX", "GH_TOKEN"})
    inside = psutil.Process(server.sessions()["orch-a-1"])
    until(lambda: inside.name() == "sleep", "the program")
    pane = inside.environ()
    assert not {name for name in pane if name.startswith("ORCH_") or name == "GH_TOKEN"}
    assert str(server.path) in pane["TMUX"]


def test_a_killed_server_is_confirmed_gone_and_starts_again(server):
    server.new_session("orch-a-1", SLEEP, "/")
    os.kill(pid(server), signal.SIGKILL)
    until(lambda: not pid(server), "its end")
    assert server.path.exists()
    assert server.sessions() == {}
    server.new_session("orch-a-2", SLEEP, "/")
    assert list(server.sessions()) == ["orch-a-2"]


def test_a_server_that_does_not_answer_is_unknown_not_empty(server, monkeypatch):
    server.new_session("orch-a-1", SLEEP, "/")
    monkeypatch.setattr(tmux, "TIMEOUT", 0.3)
    os.kill(pid(server), signal.SIGSTOP)
    with pytest.raises(Unknown):
        server.sessions()
    os.kill(pid(server), signal.SIGCONT)
    assert until(server.sessions, "it to answer again").keys() == {"orch-a-1"}
    os.kill(pid(server), signal.SIGSTOP)
    with pytest.raises(Unknown):
        server.kill_session("orch-a-1")


def test_a_server_whose_socket_was_removed_is_found_again(server):
    server.new_session("orch-a-1", SLEEP, "/")
    server.path.unlink()
    assert list(server.sessions()) == ["orch-a-1"]
    assert list(Tmux(server.path).sessions()) == ["orch-a-1"]


def test_a_server_that_lives_without_a_socket_is_unknown_not_empty(server):
    server.new_session("orch-a-1", SLEEP, "/")
    os.kill(pid(server), signal.SIGSTOP)
    server.path.unlink()
    with pytest.raises(Unknown, match="socket"):
        server.sessions()


def test_many_threads_may_use_it_at_once(server):
    server.start()
    problems: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for turn in range(20):
                assert server.command("display-message", "-p", f"{n} {turn}") == [f"{n} {turn}"]
            server.new_session(f"orch-t-{n}", SLEEP, "/")
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sorted(server.sessions()) == [f"orch-t-{n}" for n in range(8)]


def test_two_that_start_it_at_once_get_one_server(short_home):
    both = [Tmux(short_home / "tmux") for _ in range(2)]
    threads = [
        threading.Thread(target=one.new_session, args=(f"orch-t-{n}", SLEEP, "/"))
        for n, one in enumerate(both)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sorted(one.sessions()) for one in both] == [["orch-t-0", "orch-t-1"]] * 2
    both[0].kill_server()


def test_sessions_that_come_and_go_while_many_look_never_harm_the_server(short_home):
    server = Tmux(short_home / "tmux")
    server.start()
    began = pid(server)
    done = threading.Event()
    problems: list[BaseException] = []

    def look() -> None:
        while not done.is_set():
            try:
                Tmux(server.path).sessions()
            except BaseException as problem:
                problems.append(problem)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for thread in lookers:
        thread.start()
    for n in range(40):
        server.new_session(f"orch-t-{n}", ("true",), "/")
    done.set()
    for thread in lookers:
        thread.join()
    assert problems == []
    assert pid(server) == began
    server.kill_server()
