"""What `orch demo` works on: a small repository with a flaw, and the task that mends it."""

from __future__ import annotations

SLUG = "demo/greeter"
TITLE = "Greet whoever is named"

FILES = {
    "greet.sh": """\
#!/bin/sh
# Greets.
echo "Hello, world!"
""",
    "check.sh": """\
#!/bin/sh
# Everybody must be greeted by name.
failed=0
for name in Ada Grace Linus "Dennis Ritchie"; do
    sleep 0.2
    if [ "$(sh greet.sh "$name")" = "Hello, $name!" ]; then
        echo "ok      $name"
    else
        echo "not ok  $name"
        failed=1
    fi
done
exit $failed
""",
    "README.md": """\
# greeter

`sh greet.sh NAME` greets; `sh check.sh` checks that it does.
""",
}

PROSE = """\
`greet.sh` greets the world whoever is named. It shall greet the one who is named, and the world
only when nobody is. `sh check.sh` must pass. Change nothing else.
"""

STEPS = """
Look at what is there:

```sh
cat greet.sh
sleep 0.3
```

See it fail:

```sh
sh check.sh || echo "as expected: nobody is greeted by name"
```

Mend it:

```sh
cat > greet.sh <<'END'
#!/bin/sh
# Greets whoever is named, else the world.
echo "Hello, ${1:-world}!"
END
cat greet.sh
sleep 0.3
```

See it pass:

```sh
sh check.sh
```
"""


def body(agent: str) -> str:
    """The task's text: for the built-in agent with the steps to run, for others without."""
    return PROSE + STEPS if agent == "shell" else PROSE
