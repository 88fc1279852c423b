"""Serves `ctl.sock`: bounded clients, none of which can hold up another or orchd."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

from orch.control import Frames, framed
from orch.errors import Malformed
from orch.messages import Message, Request, ToOrchd, decode, failure

MAX_CLIENTS = 64
"""Connections at once; one more ends the one that has been idle the longest."""

REQUEST_BYTES = 65536
"""The longest request, in bytes: orchd's have a few short fields."""

IDLE_SECONDS = 30.0
"""A client that neither asks nor reads for so long is let go."""


class Client:
    """One connection: what it has sent, what it has not read yet, whether it awaits a reply."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.frames = Frames(REQUEST_BYTES)
        self.out = bytearray()
        self.busy = False
        self.last = False
        self.served = False
        self.active_at = time.monotonic()


class Desk:
    """Takes requests from clients, one at a time each, and brings replies back."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        listener: socket.socket,
        handle: Callable[[int, Request[Any]], None],
    ) -> None:
        self.listener = listener
        self._selector = selector
        self._handle = handle
        self._clients: dict[int, Client] = {}
        self._number = 0
        self._spare = os.open(os.devnull, os.O_RDONLY)
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def reply(self, number: int, message: Message) -> None:
        """Answer a client's request; nothing happens when it has gone."""
        client = self._clients.get(number)
        if client is None:
            return
        client.busy = False
        client.out += framed(message)
        if not client.served:
            self._serve(number, client)

    def connection(self, number: int) -> socket.socket | None:
        """A client's connection, None when it has gone."""
        client = self._clients.get(number)
        return client.connection if client else None

    def adopt(self, connection: socket.socket) -> int:
        """Take over a connection that awaits a reply; its number."""
        number = self._admit(connection)
        self._clients[number].busy = True
        self._watch(number)
        return number

    def tick(self, now: float) -> None:
        """Let idle clients go; listen again when descriptors had run out."""
        if self.listener not in self._selector.get_map():
            self._selector.register(self.listener, selectors.EVENT_READ, self._accept)
        for number, client in list(self._clients.items()):
            if not client.busy and now - client.active_at > IDLE_SECONDS:
                self._drop(number)

    def close(self, seconds: float = 1.0) -> None:
        """Give clients up to `seconds` to read their replies, then leave."""
        deadline = time.monotonic() + seconds
        for number, client in list(self._clients.items()):
            try:
                client.connection.settimeout(max(0.01, deadline - time.monotonic()))
                client.connection.sendall(client.out)
            except OSError:
                pass
            self._drop(number)
        if self.listener in self._selector.get_map():
            self._selector.unregister(self.listener)
        self.listener.close()
        os.close(self._spare)

    def _accept(self, _mask: int) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                return
            accepted = self._accept_with_spare()
            if accepted is None:
                self._selector.unregister(self.listener)  # until the next tick
                return
            connection = accepted
        self._watch(self._admit(connection))

    def _accept_with_spare(self) -> socket.socket | None:
        """Out of descriptors: make room by the spare one, or by an idle client."""
        if self._spare < 0:
            self._make_room()  # which takes the spare one back
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
        try:
            return self.listener.accept()[0]
        except OSError:
            return None

    def _admit(self, connection: socket.socket) -> int:
        if len(self._clients) >= MAX_CLIENTS:
            self._make_room()
        connection.setblocking(False)
        self._number += 1
        self._clients[self._number] = Client(connection)
        return self._number

    def _make_room(self) -> None:
        idle = [number for number, client in self._clients.items() if not client.busy]
        if victims := idle or list(self._clients):
            self._drop(min(victims, key=lambda number: self._clients[number].active_at))

    def _drop(self, number: int) -> None:
        client = self._clients.pop(number)
        if client.connection in self._selector.get_map():
            self._selector.unregister(client.connection)
        client.connection.close()
        if self._spare < 0:
            try:
                self._spare = os.open(os.devnull, os.O_RDONLY)
            except OSError:
                return

    def _watch(self, number: int, *, again: bool = False) -> None:
        """Wait for what the client is due: its reading first, then its next request, or its end.

        `again`: it has asked for more already, and is served in the next round.
        """
        client = self._clients[number]
        mask = selectors.EVENT_WRITE if client.out or again else selectors.EVENT_READ
        known = self._selector.get_map().get(client.connection)
        if known is None:
            self._selector.register(
                client.connection, mask, lambda ready: self._serve_ready(number, ready)
            )
        elif known.events != mask:
            self._selector.modify(client.connection, mask, known.data)

    def _serve_ready(self, number: int, mask: int) -> None:
        client = self._clients.get(number)
        if client is None:
            return
        if mask & selectors.EVENT_READ and not self._receive(client):
            self._drop(number)
            return
        self._serve(number, client)

    def _receive(self, client: Client) -> bool:
        """Read what came; False when the client has gone, or says more than it may."""
        try:
            data = client.connection.recv(REQUEST_BYTES)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        client.active_at = time.monotonic()
        client.frames.take(data)
        return bool(data) and not (client.busy and client.frames.held > 2 * REQUEST_BYTES)

    def _serve(self, number: int, client: Client) -> None:
        """Send what waits and take the next request; one a round, so that nobody waits for long."""
        client.served = True
        try:
            self._serve_on(number, client)
        finally:
            client.served = False

    def _serve_on(self, number: int, client: Client) -> None:
        taken = False
        while number in self._clients:
            if not self._send(client):
                self._drop(number)
                return
            if client.out or client.busy:
                self._watch(number)
                return
            if client.last:
                self._drop(number)
                return
            if taken or not self._next(number, client):
                self._watch(number, again=taken and client.frames.held > 0)
                return
            taken = True

    def _send(self, client: Client) -> bool:
        if not client.out:
            return True
        try:
            sent = client.connection.send(client.out)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        client.active_at = time.monotonic()
        del client.out[:sent]
        return True

    def _next(self, number: int, client: Client) -> bool:
        """Handle one whole request if there is one; garbage is answered."""
        try:
            body = client.frames.next()
        except Malformed as error:
            client.last = True  # what follows cannot be told apart any more
            client.out += framed(failure(error))
            return True
        if body is None:
            return False
        try:
            request = decode(body, ToOrchd)
        except Malformed as error:
            client.out += framed(failure(error))
            return True
        assert isinstance(request, Request)
        client.busy = True
        self._handle(number, request)
        return True
