"""`orch cron`: coming and past times of a line, for eyes and for scripts."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from orch.cli.main import run


@pytest.fixture
def cron(tmp_path, monkeypatch, capsys):
    """Runs `orch cron --json`; gives the exit code and the document."""
    monkeypatch.setenv("ORCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = run(("cron", "--json", *words))
        return code, json.loads(capsys.readouterr().out)

    return call


def test_the_coming_times_are_shown(cron):
    code, said = cron("0 4 * * *", "--timezone", "Asia/Kolkata", "-n", "3")
    assert code == 0
    assert [at[11:] for at in said["times"]] == ["22:30:00.000Z"] * 3
    assert said["times"] == sorted(said["times"])


@pytest.mark.parametrize("since", ["150s", "2m30s", "{}", "{:%Y-%m-%dT%H:%M:%S+00:00}"])
def test_past_times_are_shown_and_tell_whether_there_were_any(cron, since):
    then = time.time() - 150
    text = since.format(datetime.fromtimestamp(then, UTC) if ":%" in since else then)
    code, said = cron("* * * * *", "--since", text)
    assert code == 0
    assert len(said["times"]) in {2, 3}


def test_no_past_time_is_an_exit_code_of_its_own(cron):
    half_a_year_ahead = (datetime.now(UTC).month + 5) % 12 + 1
    code, said = cron(f"0 0 1 {half_a_year_ahead} *", "--since", "1h")
    assert (code, said["times"]) == (1, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("@reboot",), "'@reboot' is not a time"),
        (("61 * * * *",), "out of range"),
        (("@daily", "--timezone", "Mars/Olympus"), "time zone"),
        (("@daily", "--since", "yesterday"), "'yesterday' is no time"),
        (("* * * * *", "--since", "3000d"), "more than"),
    ],
)
def test_what_cannot_be_read_is_told(cron, words, message):
    code, said = cron(*words)
    assert code == 2
    assert message in said["error"]["message"]
