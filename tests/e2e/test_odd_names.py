"""Titles and projects with names that nobody planned for."""

from __future__ import annotations

ODD_TITLES = [
    "🙂🙃",
    "x" * 10_000,
    'it\'s "quoted" `and` ticked',
    "$(touch /tmp/never) ${HOME} ; rm -rf .",
    "first line\nsecond line",
    "-rf --help",
    "../../etc/passwd",
    "Grüße aus Köln, 日本語, עברית",
    "tail;",
    "%s {title} {{ title }} %(x)s",
]


def test_odd_titles_become_commits(world):
    world.up()
    tasks = {world.add(title, f"write {n}.txt x"): title for n, title in enumerate(ODD_TITLES)}

    world.wait_all_done(len(ODD_TITLES))

    branches = set()
    for task, title in tasks.items():
        got = world.task(task)
        assert got["title"] == title
        assert len(got["attempts"]) == 1
        assert world.git("rev-list", "--count", f"main..{got['branch']}") == "1\n"
        branches.add(got["branch"])
        assert world.orch("task", "get", task).code == 0
    assert len(branches) == len(ODD_TITLES)
    assert world.orch("task", "list", "--all").out.count("done") >= len(ODD_TITLES)


def test_odd_projects_and_two_of_the_same_name_keep_apart(world):
    folders = [
        world.project("a.b:c/d.e:f", "a.b:c"),
        world.project("ada/app", "one/app"),
        world.project("bob/app", "two/app"),
    ]
    world.up()
    tasks = [
        world.add("Same title", f"write who.txt {folder.parent.name}", cwd=folder)
        for folder in folders
    ]
    for task, folder in zip(tasks, folders, strict=True):
        done = world.wait_for(task=task, status="done", cwd=folder)
        shown = world.git("show", f"{done['branch']}:who.txt", cwd=folder)
        assert shown == f"{folder.parent.name}\n"
        assert world.git("branch", "--format=%(refname:short)", cwd=folder).split() == [
            "main",
            done["branch"],
        ]
    paired = zip(tasks, folders, strict=True)
    assert len({world.task(task, cwd=folder)["project"] for task, folder in paired}) == 3
