"""How tasks, branches and sessions are called."""

import pytest

from orch.core import names
from orch.errors import Ambiguous, Malformed


@pytest.mark.parametrize(
    "title, slug",
    [
        ("Fix the door", "fix-the-door"),
        ("  --dash first", "dash-first"),
        ("🚀🔥", ""),
        ("Ünïcode straße", "ünïcode-straße"),
        ('quotes " and $(rm -rf /) `x`', "quotes-and-rm-rf-x"),
        ("two\nlines\tand tabs", "two-lines-and-tabs"),
        ("x" * 10_000, "x" * 40),
        ("日本語" * 30, ("日本語" * 30)[:40]),
        ("../../etc/passwd", "etc-passwd"),
    ],
)
def test_a_slug_is_made_of_the_characters_of_words(title, slug):
    assert names.slug(title) == slug


def test_a_task_of_only_emoji_has_a_branch_all_the_same():
    assert names.branch("int-5", "🚀") == "orch/int-5"
    assert names.branch("octo/demo#42", "Say hello") == "orch/42-say-hello"


@pytest.mark.parametrize(
    "key, n, session",
    [
        ("int-4", 1, "orch-int-4"),
        ("int-42", 3, "orch-int-42_3"),
        ("octo/demo#42", 1, "orch-octo-demo-42"),
    ],
)
def test_a_session_is_named_after_its_task_and_attempt(key, n, session):
    assert names.session(key, n) == session


def test_sessions_of_like_named_projects_differ():
    keys = ["a/b-c#1", "a-b/c#1", "a.b/c#1", "a:b/c#1", "x/app-4#2", "x/app#42", "x/app#4"]
    sessions = [names.session(key, n) for key in keys for n in (1, 2)]
    assert len(set(sessions)) == len(sessions)
    assert not any(set(":. =") & set(session) for session in sessions)


def test_same_named_repositories_of_different_owners_have_folders_of_their_own():
    folders = {names.project_folder(p) for p in ("a/app", "b/app", "local/a.b:c", "local/a.b-c")}
    assert len(folders) == 4
    assert all(":" not in folder and ".." not in folder for folder in folders)


@pytest.mark.parametrize(
    "text, project, keys",
    [
        ("5", "", ["int-5"]),
        ("#5", "o/r", ["o/r#5", "int-5"]),
        ("int-5", "o/r", ["int-5"]),
        ("o/r#7", "", ["o/r#7"]),
        ("007", "", ["int-7"]),
    ],
)
def test_short_ids_are_tried_inside_the_project_first(text, project, keys):
    assert names.candidates(text, project) == keys


@pytest.mark.parametrize("text", ["", "five", "int-", "-1", "o/r#", "1 2", "$(id)", "9" * 40])
def test_what_is_no_id_is_said_so(text):
    with pytest.raises(Malformed, match="is no task id"):
        names.candidates(text, "")


def test_an_id_that_fits_two_tasks_lists_both():
    with pytest.raises(Ambiguous, match="o/r#5 or int-5"):
        names.pick("5", "", {"o/r#5": "o/r", "int-5": "x/y"})
    assert names.pick("5", "o/r", {"o/r#5": "o/r", "int-5": "x/y"}) == "o/r#5"
    assert names.pick("5", "o/r", {}) == ""
