"""An agent that does what the task's body says, one `do:` line after the other.

A reviewer does the `judge:` lines of the task that it reviews instead.

do: say TEXT            print a line
do: lines N             print N numbered lines
do: slow N MS           print N numbered lines, so many milliseconds apart
do: write PATH TEXT     write a file in the worktree
do: touch PATH          create an empty file anywhere
do: wait PATH           wait until a file exists
do: read                echo lines from the terminal until `stop`
do: raw HEX             print bytes
do: first CMD           do CMD in the first attempt only
do: once PATH CMD       do CMD unless it was done before (PATH tells)
do: run CMD             run a shell command in the worktree
do: fed CMD             do CMD only when the prompt tells of a review
do: answer JSON         write the answer to ORCH_OUTPUT_FILE
do: count PATH          append one byte to a file
do: daemon              leave a process of its own session behind
do: exit CODE           leave
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

WAIT_SECONDS = 90


def main() -> None:
    """Read the prompt and act."""
    sign = "judge: " if "You review the work" in told("ORCH_SYSTEM_FILE") else "do: "
    for line in body(told("ORCH_PROMPT_FILE")):
        if line.startswith(sign):
            act(line.removeprefix(sign))


def told(name: str) -> str:
    """What it is told, in the file that a variable names."""
    return Path(os.environ[name]).read_text(errors="replace")


def body(prompt: str) -> list[str]:
    """The lines of the task's own text: those of a parent or a comment are not for this agent."""
    part = re.search(r"^<<< (\w+) the task's text\n(.*?)^>>> \1$", prompt, re.M | re.S)
    return part[2].splitlines() if part else []


def act(command: str) -> None:
    """Do one command."""
    verb, _, rest = command.partition(" ")
    if verb == "say":
        show(rest)
    elif verb == "lines":
        for number in range(int(rest)):
            show(f"line {number} of {os.environ['ORCH_TASK']}")
    elif verb == "slow":
        count, pause = rest.split()
        for number in range(int(count)):
            show(f"slow line {number} of {os.environ['ORCH_TASK']}")
            time.sleep(int(pause) / 1000)
    elif verb == "write":
        path, _, text = rest.partition(" ")
        Path(path).write_text(f"{text}\n")
    elif verb == "touch":
        Path(rest).touch()
    elif verb == "wait":
        wait(Path(rest))
    elif verb == "read":
        read()
    elif verb == "raw":
        os.write(1, bytes.fromhex(rest))
    elif verb == "first":
        if os.environ["ORCH_ATTEMPT"] == "1":
            act(rest)
    elif verb == "once":
        path, _, command = rest.partition(" ")
        if not Path(path).exists():
            Path(path).touch()
            act(command)
    elif verb == "run":
        subprocess.run(["sh", "-ec", rest], check=True)
    elif verb == "fed":
        if "The review asked for changes" in told("ORCH_PROMPT_FILE"):
            act(rest)
    elif verb == "answer":
        Path(os.environ["ORCH_OUTPUT_FILE"]).write_text(rest)
    elif verb == "count":
        with Path(rest).open("ab", buffering=0) as file:
            file.write(b"x")
    elif verb == "daemon":
        daemon()
    elif verb == "exit":
        sys.exit(int(rest))
    else:
        sys.exit(f"no such command: {command}")


def show(text: str) -> None:
    """Print a line at once, in one write."""
    os.write(1, f"{text}\n".encode())


def wait(path: Path) -> None:
    """Wait until `path` exists, for so long that only a broken test would see the end."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {path}")
        time.sleep(0.02)


def daemon() -> None:
    """Start a process that nothing but its environment ties to this attempt."""
    argv = [sys.executable, "-c", "import time; time.sleep(600)"]
    left = subprocess.Popen(
        argv, start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    (Path(os.environ["ORCH_ATTEMPT_DIR"]) / "daemon.pid").write_text(str(left.pid))


def read() -> None:
    """Echo what is typed, until `stop`."""
    show("listening")
    for line in sys.stdin:
        if line.strip() == "stop":
            break
        show(f"heard {line.strip()}")


if __name__ == "__main__":
    main()
