"""The command tree: every command is there, says what it does, and shows an example."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from orch import control_ping
from orch.cli import quick
from orch.cli.here import plain_slug
from orch.cli.lazy import Lazy, load
from orch.cli.main import COMMANDS, root, run
from orch.cli.task_group import COMMANDS as TASK_COMMANDS
from orch.control import framed
from orch.messages import PingOrchd, Pong, encode
from orch.paths import Home


def every_command() -> Iterator[tuple[str, str]]:
    for name, entry in COMMANDS.items():
        if find_spec(entry.target.partition(":")[0]):
            yield name, entry.target
    for name, entry in TASK_COMMANDS.items():
        yield f"task {name}", entry.target


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group) and not isinstance(command, Lazy):
        for child, below in command.commands.items():
            yield from leaves(below, f"{name} {child}")
    else:
        yield name, command


@pytest.mark.parametrize("name, target", list(every_command()))
def test_every_command_has_a_sentence_an_example_and_json(name: str, target: str) -> None:
    for path, command in leaves(load(target), name):
        text = command.help or ""
        assert text.split("\n")[0].strip().endswith((".", ":", ";", ",")) or "." in text, path
        assert "Example:" in text, f"{path} has no example"
        options = [opt for param in command.params for opt in param.opts]
        assert options.count("--json") == 1, f"{path} takes --json {options.count('--json')} times"


def test_no_command_of_the_table_is_missing() -> None:
    missing = [n for n, e in COMMANDS.items() if not find_spec(e.target.partition(":")[0])]
    assert missing == []


def test_help_groups_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    out = capsys.readouterr().out
    for section in ("Run orch:", "Give it work:", "Watch and steer:", "Set it up:"):
        assert section in out
    assert "serve" not in out


@pytest.mark.parametrize(
    "words, said",
    [
        (["tsk"], "did you mean `task`?"),
        (["task", "lst"], "did you mean `list`?"),
        (["task", "get"], "Missing argument 'ID'"),
        (["task", "list", "--limit", "x"], "not a valid integer"),
        (["task", "list", "--nope"], "--nope"),
        (["task", "list", "--status", "odd"], "odd"),
    ],
)
def test_a_usage_error_says_what_is_wrong_and_exits_2(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert said in err
    assert "hint: see `orch" in err
    for with_json in (["--json", *words], [*words, "--json"]):
        assert run(with_json) == 2
        out, err = capsys.readouterr()
        assert (json.loads(out)["error"]["class"], err) == ("Usage", "")


def test_a_usage_error_after_two_dashes_is_not_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["task", "get", "--", "--json", "more"]) == 2
    assert capsys.readouterr().out == ""


def test_the_ping_made_by_hand_is_the_message_of_the_grammar() -> None:
    assert framed(PingOrchd()) == control_ping.REQUEST
    pong = Pong("orchd", "0.1.0", 4_000_000)
    assert quick.unpack_flat(encode(pong)) == {
        "type": "Pong",
        "name": "orchd",
        "version": "0.1.0",
        "pid": 4_000_000,
    }
    for pid in (0, 127, 128, 255, 65535, 65536, 1 << 40):
        assert quick.unpack_flat(encode(Pong("x" * 40, "v" * 300, pid)))["pid"] == pid
    for bad in (b"", b"\x93\x01", b"\x81", b"\x81\xa1a\xc0"):
        with pytest.raises(OSError, match="strange"):
            quick.unpack_flat(bad)


def test_ping_looks_where_the_home_has_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp/x")
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    for root_folder in (Path("/tmp/short"), deep):
        home = Home(root_folder)
        if home.run.parent != home.root:
            (root_folder / "run.path").write_text(f"{home.run}\n")
        assert quick.control_path(str(root_folder)) == str(home.control)


@pytest.mark.parametrize(
    "text, slug",
    [
        ("gh:\n  repo: o/r\n", "o/r"),
        ('# c\ngh: # c\n\n  # c\n  repo: "o/r" # c\nother: 1\n', "o/r"),
        ("workflow:\n  x: 1\ngh:\n    api_url: x\n    repo: 'a.b/c-d'\n", "a.b/c-d"),
        ("gh:\n  app:\n    repo: o/r\n", ""),
        ("gh: {repo: o/r}\n", ""),
        ("gh:\n  repo: ${OWNER}/r\n", ""),
        ("gh:\nother:\n  repo: o/r\n", ""),
        ("gh:\n  repo: o/r\n  repo: x/y\n", ""),
        ("", ""),
    ],
)
def test_a_plain_slug_is_read_and_anything_else_left_to_the_loader(text: str, slug: str) -> None:
    assert plain_slug(text) == slug


def test_every_target_of_the_root_is_named_once() -> None:
    assert list(root.list_commands(click.Context(root)))
    assert len({entry.sentence for entry in COMMANDS.values()}) == len(COMMANDS)
