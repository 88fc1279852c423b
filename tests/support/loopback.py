"""A network of its own that has nothing but loopback: what runs in it can reach nobody else.

The server stays in the test's process: its listening socket is made inside and handed out, and a
socket belongs to the network it was made in. Linux only, with user namespaces or as root.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

HOLD = """
import array, os, socket, sys
inside = socket.socket()
inside.bind(("127.0.0.1", 0))
inside.listen(128)
out = socket.socket(fileno=int(sys.argv[1]))
right = array.array("i", [inside.fileno()])
out.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, right)])
inside.close()
out.recv(1)
"""
READY_SECONDS = 10


class Loopback:
    """The network, kept by one small process until `close`. Raises `OSError` where impossible."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        self._line.settimeout(READY_SECONDS)
        with theirs:
            fd = theirs.fileno()
            script = 'ip link set lo up && exec "$0" -I -c "$1" "$2"'
            argv = ["unshare", "-rn", "sh", "-c", script, sys.executable, HOLD, str(fd)]
            self._holder = subprocess.Popen(argv, pass_fds=[fd], stderr=subprocess.PIPE)
        _, fds, _, _ = socket.recv_fds(self._line, 1, 1)
        if not fds:
            self._line.close()
            _, said = self._holder.communicate()
            raise OSError(f"no network of its own: {said.decode(errors='replace').strip()}")
        self.listener = socket.socket(fileno=fds[0])
        """A listening TCP socket inside, on 127.0.0.1."""

    def inside(self, *argv: str) -> tuple[str, ...]:
        """`argv`, to be run inside: the same process, in another network."""
        enter = ("nsenter", "-t", str(self._holder.pid), "-U", "-n", "--preserve-credentials")
        return (*enter, "--", *argv)

    def astray(self) -> int:
        """How often somebody inside tried to send where no way leads (IPv4 and IPv6)."""
        proc = Path(f"/proc/{self._holder.pid}/net")
        names, values = (
            line.split()[1:]
            for line in (proc / "snmp").read_text().splitlines()
            if line.startswith("Ip:")
        )
        found = int(dict(zip(names, values, strict=True))["OutNoRoutes"])
        six = proc / "snmp6"
        for line in six.read_text().splitlines() if six.exists() else ():
            if line.startswith("Ip6OutNoRoutes"):
                found += int(line.split()[1])
        return found

    def close(self) -> None:
        """Let the network go; it ends with the last process in it."""
        self._line.close()
        self._holder.communicate()
