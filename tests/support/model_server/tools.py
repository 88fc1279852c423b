"""Parts of a turn as tool calls in the words of the CLI that asks."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.support.model_server.asked import Asked
from tests.support.model_server.scenario import Edit, Part, Read, Shell, Use, Write

_numbers = count(1)


@dataclass(frozen=True)
class Call:
    """A tool call. `arguments` is a text for codex's free-form tools, a mapping otherwise."""

    name: str
    arguments: dict[str, Any] | str


def fresh(prefix: str) -> str:
    """An identifier that no other answer of this process has."""
    return f"{prefix}_{next(_numbers):012d}"


def call(part: Part, asked: Asked) -> Call:
    """The call that does `part` with the tools that were offered."""
    offered = asked.tools
    if isinstance(part, Use):
        return Call(part.name, dict(part.arguments))
    if isinstance(part, Shell):
        return _shell(part.command, offered)
    assert isinstance(part, Read | Write | Edit), f"not a tool call: {part!r}"
    path = posixpath.join(asked.cwd or ".", part.path)
    if isinstance(part, Read):
        if "Read" in offered:
            return Call("Read", {"file_path": path})
        if "read" in offered:
            return Call("read", {"filePath": path})
        if "read_file" in offered:
            return Call("read_file", {"file_path": path})
        return _shell(f"cat {_quoted(path)}", offered)
    if "apply_patch" in offered:
        return _patch(part, path, asked)
    if isinstance(part, Write):
        return _write(part, path, offered)
    return _edit(part, path, offered)


def _shell(command: str, offered: tuple[str, ...]) -> Call:
    if "Bash" in offered:
        return Call("Bash", {"command": command, "description": "Run a command"})
    if "bash" in offered:
        return Call("bash", {"command": command, "description": "Run a command"})
    if "run_shell_command" in offered:
        more = {"description": "Run a command", "is_background": False}
        return Call("run_shell_command", {"command": command, **more})
    if "shell" in offered:
        return Call("shell", {"command": ["bash", "-lc", command]})
    if "shell_command" in offered:
        return Call("shell_command", {"command": command})
    return Call("exec_command", {"cmd": command})


def _write(part: Write, path: str, offered: tuple[str, ...]) -> Call:
    if "Write" in offered:
        return Call("Write", {"file_path": path, "content": part.text})
    if "write" in offered:
        return Call("write", {"filePath": path, "content": part.text})
    if "write_file" in offered:
        return Call("write_file", {"file_path": path, "content": part.text})
    return _patch_by_shell(part, path, offered)


def _edit(part: Edit, path: str, offered: tuple[str, ...]) -> Call:
    names = ("file_path", "old_string", "new_string")
    told = dict(zip(names, (path, part.old, part.new), strict=True))
    if "Edit" in offered:
        return Call("Edit", told)
    if "replace" in offered:
        return Call("replace", {**told, "instruction": "Change these lines"})
    if "edit" in offered and "write_file" in offered:
        return Call("edit", told)
    if "edit" in offered:
        names = ("filePath", "oldString", "newString")
        return Call("edit", dict(zip(names, (path, part.old, part.new), strict=True)))
    return _patch_by_shell(part, path, offered)


def _patch_by_shell(part: Write | Edit, path: str, offered: tuple[str, ...]) -> Call:
    """codex takes a patch from its shell tool where it offers no tool for it."""
    return _shell(f"apply_patch <<'END_OF_PATCH'\n{_patch_text(part, path)}\nEND_OF_PATCH", offered)


def _patch(part: Write | Edit, path: str, asked: Asked) -> Call:
    text = _patch_text(part, path)
    for tool in asked.body.get("tools") or []:
        if tool.get("name") == "apply_patch" and tool.get("type") == "custom":
            return Call("apply_patch", text)
    return Call("apply_patch", {"patchText" if asked.protocol == "chat" else "input": text})


def _patch_text(part: Write | Edit, path: str) -> str:
    if isinstance(part, Write):
        lines = [f"*** Add File: {path}", *(f"+{line}" for line in part.text.splitlines())]
    else:
        lines = [f"*** Update File: {path}", "@@"]
        lines += [f"-{line}" for line in part.old.splitlines()]
        lines += [f"+{line}" for line in part.new.splitlines()]
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"
