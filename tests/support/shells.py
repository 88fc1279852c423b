"""Shells that complete a command line by orch's own script, without a person at a terminal."""

from __future__ import annotations

import subprocess
import sys

from tests.support.world import World

BASH = """{script}
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_orch_completion orch
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

ZSH = """compdef() {{}}
_describe() {{ print -rl -- ${{(P)3}} }}
compadd() {{ local -a all; all=(${{(P)@[-1]}}); print -rl -- $all }}
{script}
words=({words}); CURRENT=${{#words}}
_orch_completion
"""

FISH = """{script}
complete --do-complete '{words}'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
SEPARATORS = {"bash": "\n", "zsh": ":", "fish": "\t"}
"""What stands between a name and what is shown beside it."""


def completed(world: World, shell: str, words: str) -> list[str]:
    """What the shell offers for the last of `words`."""
    folder = world.root / "shell-bin"
    program = folder / "orch"
    if not program.exists():
        folder.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orch "$@"\n')
        program.chmod(0o755)
    script = folder / shell
    if not script.exists():
        script.write_text(world.orch("completions", shell).out)
    ran = subprocess.run(
        [shell, "-c", SCRIPTS[shell].format(script=script.read_text(), words=words)],
        env={**world.env, "PATH": f"{folder}:{world.env['PATH']}"},
        cwd=world.repo, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.stderr == "", ran
    return [line.partition(SEPARATORS[shell])[0] for line in ran.stdout.splitlines() if line]


def check(world: World, shell: str) -> None:
    """Fail unless the shell completes commands, live ids, agents, services and jobs."""
    jobs = 'jobs:\n  - {id: nightly, schedule: "@daily", task: {title: "Tidy"}}\n'
    file = world.repo / ".orch.yml"
    file.write_text(file.read_text() + jobs)
    world.up()
    world.until(lambda: world.orch("job", "list", "--json").json != [], "the job is known")
    gate = world.root / "gate"
    added = [world.add("Two\nlines: of, title", f"wait {gate}") for _ in range(2)]
    for words, offered in (
        ("orch task scr", ["screen"]),
        ("orch task get int-", added),
        ("orch task add x --agent she", ["shell"]),
        ("orch service restart cap", ["capture"]),
        ("orch job info nig", ["nightly"]),
    ):
        offers(world, shell, words, offered)
    gate.touch()
    world.wait_all_done(len(added))


def offers(world: World, shell: str, words: str, offered: list[str]) -> None:
    """Wait until exactly this is offered: completion says nothing where orch answers too late."""
    last: list[str] = []

    def there() -> bool:
        last[:] = completed(world, shell, words)
        return last == offered

    world.until(there, f"{shell} offers {offered}", show=lambda: str(last))
