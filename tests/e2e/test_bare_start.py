"""orch as a service manager starts it: a minimal PATH, in the root folder."""

from __future__ import annotations

from tests.support.world import World

BODY = """\
```sh
printf '%s\\n' "$PATH" > path.txt
git log -1 --format=%s > subject.txt
```
"""


def test_a_task_is_done_under_a_minimal_path_from_the_root_folder(world: World):
    world.inside = ("env", "-C", "/", "-u", "TERM", "-u", "LANG", "PATH=/usr/bin:/bin")
    world.up()
    task = world.orch("task", "add", "--agent", "shell", "-b", "-", "--json", "--", "Look",
                      text=BODY).json["id"]  # fmt: skip

    done = world.wait_for(task=task, status="done")

    path = world.git("show", f"{done['branch']}:path.txt").strip().split(":")
    assert path[:2] == ["/usr/bin", "/bin"]
    assert {"/usr/local/bin", f"{world.root}/.local/bin"} <= set(path)
    assert world.git("show", f"{done['branch']}:subject.txt") == "Begin\n"
