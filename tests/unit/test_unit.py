"""Units as text: every value survives the quoting, and an edit is told from a new version."""

from __future__ import annotations

import plistlib
import re
import shlex

import pytest

from orch.core import unit
from orch.errors import Refused
from orch.paths import data

HOME = '/home/ada b/$HOME 100% "x" <&>\\'
ARGV = ("/opt/py thon/bin/python", "-P", "-m", "orch.supervisor")
FACTS = unit.Facts(
    name="orchd",
    argv=ARGV,
    home=HOME,
    log=f"{HOME}/logs/orchd.out",
    environment={"PATH": '/a b:/usr/bin:/100%:/"q":/\\:/$x', "ORCH_HOME": HOME, "LANG": "C"},
)


def template(kind: str) -> str:
    [file] = (data("contrib") / kind).iterdir()
    return file.read_text()


def systemd_value(text: str) -> str:
    """A value as systemd reads it: C escapes in quotes, then specifiers (systemd.syntax(7))."""
    return shlex.split(text)[0].replace("%%", "%") if text.startswith('"') else text


def test_systemd_reads_back_what_was_filled_in():
    text = unit.render(unit.SYSTEMD, template("systemd"), FACTS)
    lines = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"\w+=", line))
    told = [one.partition("=")[2] for one in text.splitlines() if one.startswith("Environment=")]
    assert dict(systemd_value(one).split("=", 1) for one in told) == dict(FACTS.environment)
    command = [one.replace("$$", "$").replace("%%", "%") for one in shlex.split(lines["ExecStart"])]
    assert tuple(command) == ARGV
    assert lines["WorkingDirectory"].replace("%%", "%") == HOME
    assert (lines["Type"], lines["KillMode"], lines["Restart"]) == (
        "notify",
        "process",
        "on-failure",
    )
    assert int(lines["WatchdogSec"]) == 30
    assert int(lines["StartLimitBurst"]) * int(lines["RestartSec"]) < int(
        lines["StartLimitIntervalSec"]
    ), "else the limit is never reached"
    assert not {"NoNewPrivileges", "PrivateTmp", "ProtectHome", "ProtectSystem", "UMask"} & {*lines}
    assert "@" not in re.sub(r"(?m)^#.*$", "", text)


def test_launchd_reads_back_what_was_filled_in():
    text = unit.render(unit.LAUNCHD, template("launchd"), FACTS)
    read = plistlib.loads(text.encode())
    assert read["Label"] == "dev.orch.orchd"
    assert tuple(read["ProgramArguments"]) == ARGV
    assert read["EnvironmentVariables"] == FACTS.environment
    assert read["WorkingDirectory"] == HOME
    assert read["StandardErrorPath"] == FACTS.log
    assert read["KeepAlive"] == {"SuccessfulExit": False}
    assert read["AbandonProcessGroup"] is read["RunAtLoad"] is True
    assert read["ThrottleInterval"] == 5


@pytest.mark.parametrize("kind", unit.KINDS)
def test_a_unit_that_was_edited_is_told_from_an_older_one(kind):
    text = unit.render(kind, template(kind), FACTS)
    assert unit.is_sealed(text)
    older = unit.render(kind, template(kind), FACTS._replace(argv=("/old/python", *ARGV[1:])))
    assert unit.is_sealed(older)
    assert any("/old/python" in line for line in unit.difference(older, text))
    assert unit.difference(text, text) == []
    for edited in (text.replace("30", "31"), text + "\n", text * 2, "", text.replace("sealed", "")):
        assert not unit.is_sealed(edited)
    assert len(unit.difference(text.replace("30", "31"), text)) >= 2


@pytest.mark.parametrize("kind", unit.KINDS)
def test_a_value_of_several_lines_is_refused(kind):
    with pytest.raises(Refused, match="cannot stand in a unit"):
        unit.render(kind, template(kind), FACTS._replace(home="/a\nExecStart=/bin/evil"))


def test_a_unit_keeps_the_path_of_now_without_doubles_and_relative_folders():
    given = {"PATH": "/a:/b:.:bin::/a", "LANG": "de_DE.UTF-8", "SECRET": "x", "TZ": ""}
    assert unit.kept(given, "/h") == {"PATH": "/a:/b", "LANG": "de_DE.UTF-8", "ORCH_HOME": "/h"}


@pytest.mark.parametrize(
    "path, stays",
    [
        ("/usr/bin/python3", "/usr/bin/python3"),
        (
            "/opt/homebrew/Cellar/orchd/0.1.0/libexec/bin/python",
            "/opt/homebrew/opt/orchd/libexec/bin/python",
        ),
    ],
)
def test_a_program_of_homebrew_is_named_by_the_link_that_outlives_an_upgrade(path, stays):
    assert unit.lasting(path) == stays


def test_each_home_has_a_unit_of_its_own_name():
    assert unit.name("/home/ada/.orch", usual=True) == "orchd"
    names = {unit.name(one, usual=False) for one in ("/a", "/b", "/c")}
    assert len(names) == 3
    assert all(re.fullmatch(r"orchd-[0-9a-f]{8}", one) for one in names)


def test_what_agents_may_miss_is_named_but_never_its_value():
    given = {"OPENAI_API_KEY": "s", "https_proxy": "p", "PATH": "/", "CLAUDE_CONFIG_DIR": "/c"}
    assert unit.left_out(given) == ["CLAUDE_CONFIG_DIR", "OPENAI_API_KEY", "https_proxy"]
