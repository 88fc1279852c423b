"""Asks orchd whether it answers, importing nothing that takes time."""

import _socket

REQUEST = b"\x00\x00\x00\x10\x81\xa4type\xa9PingOrchd"
"""A frame of `ctl.sock` that holds `PingOrchd()`."""


def ping(path: str, timeout: float = 5.0) -> bytes:
    """The body of orchd's reply to a ping on the socket `path`; raises OSError."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.send(REQUEST)
        reply = b""
        while len(reply) < 4 or len(reply) < 4 + int.from_bytes(reply[:4], "big"):
            data = connection.recv(4096)
            if not data:
                raise OSError("orchd closed the connection")
            reply += data
        return reply[4:]
    finally:
        connection.close()
