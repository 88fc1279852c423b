"""Bytes of a terminal as keys: names, characters, and whole pastes. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

PASTE, PASTED = b"\x1b[200~", b"\x1b[201~"
MOST_PASTED = 1 << 20

_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~])")
_ESCAPES = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left",
    b"\x1bOA": "up", b"\x1bOB": "down", b"\x1bOC": "right", b"\x1bOD": "left",
    b"\x1b[H": "home", b"\x1b[F": "end", b"\x1bOH": "home", b"\x1bOF": "end",
    b"\x1b[1~": "home", b"\x1b[4~": "end", b"\x1b[7~": "home", b"\x1b[8~": "end",
    b"\x1b[3~": "delete", b"\x1b[5~": "pageup", b"\x1b[6~": "pagedown",
}  # fmt: skip
_CONTROLS = {
    0x01: "home", 0x03: "interrupt", 0x05: "end", 0x08: "backspace", 0x0A: "enter",
    0x0C: "redraw", 0x0D: "enter", 0x0E: "down", 0x10: "up", 0x15: "clear", 0x17: "word",
    0x1B: "escape", 0x7F: "backspace",
}  # fmt: skip


class Pasted(NamedTuple):
    """A text that was pasted: never keys, whatever it holds."""

    text: str


Key = str | Pasted


class Keys:
    """Reads keys off bytes as they come; what is not whole yet waits."""

    def __init__(self) -> None:
        self._held = b""

    @property
    def waiting(self) -> bool:
        """Whether something is held back, as an escape that may be a key or begin a sequence."""
        return bool(self._held)

    def add(self, data: bytes) -> list[Key]:
        """The keys that these bytes complete."""
        self._held += data
        found: list[Key] = []
        while self._held:
            key, size = self._next()
            if not size:
                break
            self._held = self._held[size:]
            if key:
                found.append(key)
        return found

    def rest(self) -> list[Key]:
        """No more will come: an escape alone is the key Esc. A paste goes on waiting."""
        held = self._held
        if not held or held.startswith(PASTE):
            return []
        self._held = held[1:]
        first: list[Key] = ["escape"] if held[0] == 0x1B else []
        return first + self.add(b"")

    def _next(self) -> tuple[Key, int]:
        """The first key held and its bytes; no bytes when it is not whole."""
        held = self._held
        if held.startswith(PASTE):
            return self._paste()
        if held[0] == 0x1B:
            found = _SEQUENCE.match(held)
            if found:
                return _ESCAPES.get(found[0], ""), len(found[0])
            begun = len(held) == 1 or (held[1] in b"[O" and len(held) < 32)
            return ("", 0) if begun else ("escape", 1)
        if held[0] < 0x20 or held[0] == 0x7F:
            return _CONTROLS.get(held[0], ""), 1
        size = _character(held[0])
        if len(held) < size:
            return "", 0
        try:
            return held[:size].decode(), size
        except UnicodeDecodeError:
            return "", 1

    def _paste(self) -> tuple[Key, int]:
        end = self._held.find(PASTED)
        if end < 0:
            over = len(self._held) > MOST_PASTED
            return "", len(self._held) if over else 0
        text = self._held[len(PASTE) : end].decode("utf-8", "replace")
        return Pasted(text), end + len(PASTED)


def _character(first: int) -> int:
    """How many bytes the UTF-8 character has that begins so; 1 for what begins none."""
    if 0xC2 <= first < 0xE0:
        return 2
    return 3 if 0xE0 <= first < 0xF0 else 4 if 0xF0 <= first < 0xF5 else 1
