"""The dashboard's keys and list: what each key does, and where the cursor goes."""

from __future__ import annotations

import msgspec
import pytest

from orch.cli.dashboard.facts import Facts
from orch.cli.dashboard.keys import Keys, Pasted
from orch.cli.dashboard.view import View, Wanted
from orch.model import Approval, ApprovalState, Session, Status, Task


def task(number: int, status: Status = Status.NEW, **more: str) -> Task:
    return Task(key=f"int-{number}", project="o/r", title=f"Task {number}", status=status, **more)


def session(number: int) -> Session:
    return Session(
        session=f"orch-int-{number}", task=f"int-{number}", attempt=1, agent="claude",
        folder="", started_at=1.0,
    )  # fmt: skip


def seen(*tasks: Task, sessions: tuple[Session, ...] = (), **more: object) -> View:
    view = View(**more)  # type: ignore[arg-type]
    view.update(Facts(tasks=tasks, matching=len(tasks), sessions=sessions))
    return view


def typed(view: View, *keys: str) -> Wanted | None:
    """What the last of these keys asks for."""
    wanted = None
    for key in keys:
        wanted = view.press(key)
    return wanted


@pytest.mark.parametrize(
    "data, keys",
    [
        (b"j\x1b[A\x1bOB\x1b[6~", ["j", "up", "down", "pagedown"]),
        ("hé🦊".encode(), ["h", "é", "🦊"]),
        (b"\r\x7f\x03\x15", ["enter", "backspace", "interrupt", "clear"]),
        (b"\x1bq", ["escape", "q"]),
        (b"\x1b[200~K\ny\x1b[A\x1b[201~x", [Pasted("K\ny\x1b[A"), "x"]),
        (b"\x1b[<0;3;4M\x1b[?1;2c\xffz", ["z"]),
    ],
)
def test_bytes_become_keys_however_they_are_cut(data: bytes, keys: list[object]) -> None:
    assert Keys().add(data) == keys
    one_by_one = Keys()
    assert [key for n in range(len(data)) for key in one_by_one.add(data[n : n + 1])] == keys


def test_an_escape_alone_is_a_key_once_nothing_follows() -> None:
    keys = Keys()
    assert (keys.add(b"\x1b"), keys.waiting) == ([], True)
    assert (keys.rest(), keys.waiting) == (["escape"], False)
    assert keys.add(b"\x1b[200~half") == []
    assert keys.rest() == [], "a paste is not cut by a pause"
    assert keys.add(b" and half\x1b[201~") == [Pasted("half and half")]


def test_the_list_has_sessions_then_tasks_by_what_needs_a_person() -> None:
    view = seen(
        task(1, Status.DONE), task(2), task(3, Status.BLOCKED), task(4, Status.IN_PROGRESS),
        sessions=(session(4),),
    )  # fmt: skip
    names = [row.name for row in view.rows]
    order = ["int-4", "int-3", "int-2", "int-1"]
    assert names == ["SESSIONS 1", "orch-int-4 1", "TASKS 4", *order]
    assert view.chosen == ("session", "orch-int-4 1")


def test_the_cursor_stays_on_its_row_and_follows_a_session_to_its_task() -> None:
    facts = Facts(
        tasks=(task(1, Status.IN_PROGRESS), task(2, Status.IN_PROGRESS)),
        sessions=(session(1), session(2)),
    )
    view = View()
    view.update(facts)
    view.press("down")
    assert view.chosen == ("session", "orch-int-2 1")
    view.update(Facts(tasks=(task(3), *facts.tasks), sessions=facts.sessions[1:]))
    assert view.chosen == ("session", "orch-int-2 1")
    view.update(Facts(tasks=(task(1), task(3), task(2, Status.BLOCKED)), sessions=(session(1),)))
    assert view.chosen == ("task", "int-2"), "not another's session"
    view.update(Facts())
    assert (view.row(), view.press("K")) == (None, None)


def test_hundreds_of_tasks_scroll_with_the_cursor() -> None:
    view = seen(*(task(n) for n in range(500)), page=10)
    view.press("end")
    assert view.chosen == ("task", "int-499")
    assert view.top == len(view.rows) - 10
    typed(view, "pageup", "pageup")
    assert view.chosen == ("task", "int-481")
    assert view.top <= view.index() < view.top + 10
    view.press("home")
    assert view.top == 0, "the heading is seen again"


def test_an_act_goes_to_the_row_under_the_cursor() -> None:
    view = seen(task(1), task(2))
    assert view.press("r") == Wanted("retry", "int-1")
    assert typed(view, "down", "enter") == Wanted("attach", "int-2")
    assert view.press("x") is None
    assert view.press("q") == Wanted("quit")


def test_a_kill_is_asked_first_and_only_yes_is_yes() -> None:
    view = seen(task(1))
    for other in ("n", "enter", "escape", "K", "Y\n"):
        assert typed(view, "K", other) is None
        assert view.asking is None
    assert typed(view, "K", "y") == Wanted("kill", "int-1")


def test_what_is_typed_is_sent_as_it_is_and_goes_where_it_was_begun() -> None:
    view = seen(task(1), task(2))
    typed(view, "s", *"helo", "left", "l", "end", "!", "home", "delete", "H")
    view.type(" pasted\r\nq")
    view.update(Facts(tasks=(task(2),)))
    assert view.press("enter") == Wanted("send", "int-1", "H pasted\nqello!")
    assert typed(view, "s", "q", "escape") is None
    assert view.asking is None
    assert typed(view, "s", *"a b c", "word", "clear", "enter") is None
    assert view.told == "nothing was sent"


def test_a_paste_is_never_keys() -> None:
    view = seen(task(1))
    view.type("Ky")
    assert view.asking is None
    view.press("K")
    view.type("y")
    assert view.asking is not None, "only a key answers"


def asking(*options: str) -> Facts:
    """int-1 runs and asks; the cursor's task is known in detail."""
    from orch.messages import TaskDetail

    one = Approval(
        id=7, task="int-1", n=1, session="orch-int-1", agent="claude", question="q",
        tool="Bash", text="rm -rf build\x1b[2J", options=options,
    )  # fmt: skip
    old = msgspec.structs.replace(one, id=6, state=ApprovalState.DENIED)
    detail = TaskDetail(task(1), (), "", approvals=(old, one))
    running = msgspec.structs.replace(session(1), asks="may it?")
    return Facts(tasks=(task(1, Status.IN_PROGRESS),), sessions=(running,), detail=detail)


def test_a_question_stands_first_and_exactly_it_is_answered() -> None:
    view = View()
    view.update(asking())
    assert [row.kind for row in view.rows] == ["", "question", "", "session", "", "task"]
    assert typed(view, "a", "n") is None
    view.press("a")
    assert view.asking is not None
    assert view.asking.label == "allow may it use Bash: rm -rf build�[2J? (y/N)"
    view.update(Facts(tasks=(task(1),)))
    assert view.press("y") == Wanted("approve", "int-1", question="7"), "what was shown"


def test_a_denial_has_a_reason_and_a_choice_is_typed() -> None:
    view = View()
    view.update(asking())
    assert typed(view, "d", *"no", "enter") == Wanted("deny", "int-1", "no", "7")
    assert typed(view, "d", "enter") == Wanted("deny", "int-1", "", "7")
    view.update(asking("red", "blue"))
    assert typed(view, "a", *"red", "enter") == Wanted("approve", "int-1", "red", "7")
    view.update(Facts(tasks=(task(1),)))
    assert typed(view, "a") is None
    assert (view.asking, view.told) == (None, "int-1 asks nothing that is known here")


def test_a_filter_hides_what_lacks_its_text() -> None:
    facts = Facts(tasks=(task(1), task(2, agent="codex")))
    view = View()
    view.update(facts)
    typed(view, "/", *"COD", "enter")
    view.update(facts)
    assert [row.task for row in view.rows if row.kind] == ["int-2"]
    view.press("escape")
    view.update(facts)
    assert len([row for row in view.rows if row.kind]) == 2


def test_help_takes_one_key() -> None:
    view = seen(task(1))
    view.press("?")
    assert view.help
    assert (view.press("q"), view.help) == (None, False)
