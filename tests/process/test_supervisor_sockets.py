"""Where orchd listens: private, replaced when stale, never in the place of something foreign."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch import sockets
from orch.errors import Refused
from orch.paths import Home
from tests.support.scratch_orchd import ScratchOrchd, scratch_orchd


@pytest.fixture
def orchd() -> Iterator[ScratchOrchd]:
    """An orchd that is not started yet."""
    with scratch_orchd("fork") as made:
        yield made


@pytest.mark.parametrize("kind", ["req", "nudge"])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_socket_is_private_whatever_the_umask(short_home, kind, umask):
    before = os.umask(umask)
    try:
        listener = sockets.listen(short_home / "x", kind)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    with listener:
        assert stat.S_IMODE((short_home / "x").stat().st_mode) == 0o600
        assert [path.name for path in short_home.iterdir()] == ["x"]


@pytest.mark.parametrize("kind", ["req", "nudge"])
def test_a_stale_socket_is_replaced_and_a_served_one_is_refused(short_home, kind):
    path = short_home / "x"
    first = sockets.listen(path, kind)
    with pytest.raises(Refused, match="served by another process"):
        sockets.listen(path, kind)
    first.close()
    with sockets.listen(path, kind):
        assert path.is_socket()


def _file(path: Path) -> None:
    path.write_text("precious")


def _link(path: Path) -> None:
    path.symlink_to("elsewhere")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_file, _link, _folder])
def test_what_is_not_a_socket_stays_and_is_refused(short_home, make):
    path = short_home / "x"
    make(path)
    before = path.lstat()
    with pytest.raises(Refused, match="not a socket"):
        sockets.listen(path, "req")
    sockets.remove(path)
    assert path.lstat() == before


def test_a_socket_of_another_user_stays_and_is_refused(short_home):
    path = short_home / "x"
    sockets.listen(path, "req").close()
    other = 12345
    if os.getuid() == 0:
        os.chown(path, other, other)
    else:  # who cannot give a socket away finds a foreign one in the system's own folder
        found = [one for one in Path("/run").glob("**/*.sock*") if one.is_socket()]
        path = next((one for one in found if one.stat().st_uid != os.getuid()), path)
        other = path.stat().st_uid
    if other == os.getuid():
        return
    with pytest.raises(Refused, match=f"belongs to user {other}"):
        sockets.listen(path, "req")
    assert path.is_socket()


def test_orchd_leaves_with_a_clear_word_when_something_is_in_the_way(orchd):
    orchd.three().write_roster()
    orchd.home.make()
    in_the_way = orchd.home.socket("capture", "pub")
    in_the_way.write_text("precious")
    assert orchd.launch().wait(20) == 1
    assert f"error: {in_the_way} is in the way" in orchd.output.read_text()
    assert in_the_way.read_text() == "precious"


def test_orchd_refuses_a_run_folder_that_others_can_enter(orchd):
    orchd.three().write_roster()
    orchd.home.make()
    orchd.home.run.chmod(0o777)
    assert orchd.launch().wait(20) == 1
    assert "is open to other users" in orchd.output.read_text()
    orchd.home.run.chmod(0o700)


def test_a_running_orchd_is_not_hindered_by_sockets_left_over(orchd):
    orchd.three().start().ready()
    orchd.process.kill()
    orchd.process.wait()
    assert orchd.home.control.is_socket()
    orchd.start().ready()
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in orchd.home.run.iterdir()
        if path.is_socket()
    }
    assert set(modes.values()) == {0o600}
    assert {"ctl.sock", "engine.req", "engine.pub", "capture.pub"} <= set(modes)


@pytest.mark.parametrize("length", [90, 107, 108, 200])
def test_a_home_with_a_long_path_works(orchd, length):
    root = orchd.root / "é"
    root = root / ("x" * (length - len(os.fsencode(root)) - 1))
    orchd.home = Home(root)
    orchd.add("engine").start().ready()
    assert len(os.fsencode(orchd.home.socket("engine", "nudge"))) <= 107
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(orchd.home.socket("engine", "req")))
    orchd.stop()
    if orchd.home.run.parent != root:
        shutil.rmtree(orchd.home.run)
