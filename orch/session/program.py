"""The agent's process: started in a pseudo-terminal of its own, and ended with all its group."""


# Without pathlib: to import it would cost more than the rest of the start.
# ruff: noqa: PTH123

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import sys
import termios

from orch.session.marks import signal_group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orch.session.launch import Launch

BLOCK = 65536
"""Bytes read from the agent's terminal at a time."""


class LaunchFailed(Exception):
    """The agent could not be started; the message says why."""


class Program:
    """A running agent. `master` is our end of its terminal, non-blocking; `output` and `input` are
    what is to be watched for its output and for room for its input."""

    def __init__(self, pid: int, master: int, slave: int) -> None:
        self.pid = pid
        self.master = self.output = self.input = master
        self.slave = slave
        self.code: int | None = None
        self.signal: int | None = None
        self.ended = False

    def read(self) -> bytes | None:
        """Output that is there now; b'' when there is none, None when there will be no more."""
        try:
            return os.read(self.master, BLOCK) or None
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:
                return None
            raise

    def write(self, data: bytes) -> int:
        """Type into the agent's terminal; returns how many bytes it took."""
        try:
            return os.write(self.master, data[:4096])
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno == errno.EIO:
                return len(data)  # nobody is left to read it
            raise

    def reap(self) -> bool:
        """True once the agent has ended; notes its exit code or signal."""
        if not self.ended:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.ended = True
                code = os.waitstatus_to_exitcode(status)
                self.code, self.signal = (code, None) if code >= 0 else (None, -code)
                os.close(self.slave)  # from now on, the end of the output can be seen
        return self.ended

    def send(self, number: int) -> None:
        """Signal the agent's process group, and whichever group is in the foreground."""
        groups = {self.pid}
        with contextlib.suppress(OSError):
            front = os.tcgetpgrp(self.master)
            if front > 1 and front != os.getpgrp():
                groups.add(front)
        for group in groups:
            signal_group(group, number)

    def resize(self, columns: int, rows: int) -> None:
        """Give the agent's terminal a size; the kernel tells the agent."""
        with contextlib.suppress(OSError):
            termios.tcsetwinsize(self.master, (rows, columns))

    def modes(self) -> tuple[bool, bool]:
        """Whether the terminal collects lines (canonical), and whether it echoes."""
        flags = termios.tcgetattr(self.master if self.ended else self.slave)[3]
        return bool(flags & termios.ICANON), bool(flags & termios.ECHO)


def start(order: Launch, columns: int, rows: int) -> Program:
    """Start the agent on a new terminal of that size. Raises `LaunchFailed`."""
    return Program(*launch(order, columns, rows, ()))


def launch(
    order: Launch, columns: int, rows: int, standard: tuple[int, ...]
) -> tuple[int, int, int]:
    """Start the agent on a new terminal of that size, which becomes its standard files too unless
    `standard` names others. Returns its pid and both ends of the terminal; raises `LaunchFailed`.
    """
    master, slave = os.openpty()
    _prepare(slave, plain=order.protocol != "terminal")
    termios.tcsetwinsize(slave, (rows, columns))
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(order, slave, tell, standard or (slave, slave, slave))
    os.close(tell)
    with open(told, "rb") as pipe:
        problem = pipe.read()
    if problem:
        os.waitpid(pid, 0)
        os.close(master)
        os.close(slave)
        raise LaunchFailed(problem.decode("utf-8", "replace"))
    os.set_blocking(master, False)
    return pid, master, slave


def arguments(order: Launch) -> list[str]:
    """The order's argv, with the program that `stream.BRIDGE` stands for in its place."""
    if order.protocol != "structured":
        return list(order.argv)
    from orch.agents.stream import BRIDGE  # noqa: PLC0415 - not for the others

    bridge = (sys.executable, "-I", "-m", "orch.session.http_bridge")
    return [word for one in order.argv for word in (bridge if one == BRIDGE else (one,))]


def environment(order: Launch) -> dict[str, str]:
    """The order's environment, with the mark of the attempt and the pane's kind of terminal."""
    env = {**order.env, "ORCH_RUN": order.run}
    if "TERM" not in env or "TMUX" in os.environ:
        env["TERM"] = os.environ.get("TERM", "dumb")
    return env


def _prepare(slave: int, plain: bool) -> None:
    """Set the modes: a plain terminal changes no byte of the output and echoes no input."""
    modes = termios.tcgetattr(slave)
    modes[0] &= ~termios.IMAXBEL
    if plain:
        modes[0] &= ~(termios.IXON | termios.IXOFF)
        modes[1] &= ~termios.OPOST
        modes[3] &= ~(termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ECHONL)
    termios.tcsetattr(slave, termios.TCSANOW, modes)


def _become(order: Launch, slave: int, tell: int, standard: tuple[int, ...]) -> None:
    """In the child: take the terminal, then become the agent; tell why not, and leave."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for place, file in enumerate(standard):
            os.dup2(file, place)
        problem = _execute(order)
    except BaseException as error:
        problem = str(error)
    try:
        os.write(tell, problem.encode("utf-8", "replace")[:4000] or b"cannot start the agent")
    finally:
        os._exit(127)


def _execute(order: Launch) -> str:
    try:
        os.chdir(order.cwd)
    except OSError as error:
        return f"cannot work in {order.cwd}: {error.strerror}"
    argv = arguments(order)
    program = argv[0]
    try:
        os.execvpe(program, argv, environment(order))
    except OSError as error:
        if error.errno == errno.ENOENT and "/" not in program:
            return f"cannot start {program}: no such program in PATH={order.env.get('PATH', '')}"
        return f"cannot start {program}: {error.strerror}"
    return f"cannot start {program}"
