"""The database: real SQLite files, every promise of the schema."""

import threading

import apsw
import pytest

from orch.errors import NotFound, Refused, Unknown
from orch.model import Answer, ApprovalState, JobRun, Phase, Question, Status, Task, Usage
from orch.store import approvals, attempts, events, job_runs, jobs, outbox, takeovers, tasks
from orch.store.db import Fenced, Store

assert Answer  # the nouns come from one place


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "orch.db")
    opened.take_over()
    yield opened
    opened.close()


def add(store, title="t", **more):
    task = Task(key="", project=more.pop("project", "o/r"), title=title, created_at=1.0, **more)
    with store.transaction():
        key = tasks.insert_internal(store, task, priority=0)
        for after in task.after:
            tasks.add_dependency(store, key, after)
    return key


def move(store, key, *statuses):
    with store.transaction():
        for status in statuses:
            tasks.update(store, key, 2.0, status=status)


def ready(store, status=Status.NEW, now=10.0):
    return [t.key for _, t in tasks.ready(store, status, now, ("o/r",), tasks.FRONT, 100)]


def test_a_task_comes_back_as_it_went_in(store):
    key = add(store, title="q'\"; DROP TABLE tasks; --", body="b\n\ttab", labels=("a", "ü"))
    task = tasks.get(store, key)
    assert (task.key, task.title) == ("int-1", "q'\"; DROP TABLE tasks; --")
    assert (task.body, task.labels, task.status) == ("b\n\ttab", ("a", "ü"), Status.NEW)
    with pytest.raises(NotFound, match="int-99"):
        tasks.get(store, "int-99")


def test_an_illegal_move_is_refused_by_the_store(store):
    key = add(store)
    with pytest.raises(Refused, match="cannot become in_review"), store.transaction():
        tasks.update(store, key, 2.0, status=Status.IN_REVIEW)
    assert tasks.get(store, key).status is Status.NEW


def test_a_failed_transaction_leaves_nothing_behind(store):
    key = add(store)
    with pytest.raises(ZeroDivisionError), store.transaction():
        tasks.update(store, key, 2.0, title="half")
        events.append(store, 1.0, "task_changed", key)
        _ = 1 / 0
    assert tasks.get(store, key).title == "t"
    assert events.last(store) == 0


def test_what_a_task_comes_after_holds_it_back_until_done(store):
    first = add(store)
    second = add(store, after=(first,))
    assert ready(store) == [first]
    assert tasks.unfinished_before(store, second) == [first]
    move(store, first, Status.DONE)
    assert ready(store) == [second]


def test_children_hold_their_parent_back_also_when_closed_by_hand(store):
    parent = add(store)
    child = add(store, parent=parent)
    assert ready(store) == [child]
    move(store, child, Status.BLOCKED, Status.DONE)
    assert ready(store) == [parent]
    assert tasks.children(store, parent) == [child]


def test_a_parked_task_is_ready_when_its_time_has_come(store):
    key = add(store)
    with store.transaction():
        tasks.update(store, key, 2.0, not_before=50.0)
    assert ready(store, now=49.0) == []
    assert tasks.next_due(store, 49.0) == 50.0
    assert ready(store, now=50.0) == [key]


def test_priority_comes_before_age_and_other_projects_are_left_out(store):
    old, other = add(store), add(store, project="x/y")
    with store.transaction():
        urgent = tasks.insert_internal(store, Task(key="", project="o/r", title="u"), priority=5)
    assert ready(store) == [urgent, old]
    assert other not in ready(store)


def test_a_task_has_one_open_attempt_at_most(store):
    key = add(store)
    with store.transaction():
        first = attempts.insert(store, key, 1, "a", "", 5.0)
    with pytest.raises(apsw.ConstraintError), store.transaction():
        attempts.insert(store, key, 2, "a", "", 6.0)
    with store.transaction():
        attempts.update(store, first.id, phase=Phase.ENDED, ended_at=7.0)
        second = attempts.insert(store, key, 3, "a", "", 8.0)
    assert (first.n, second.n) == (1, 2)
    assert attempts.open_of(store, key).id == second.id


def test_an_ended_attempt_never_changes_again(store):
    key = add(store)
    with store.transaction():
        attempt = attempts.insert(store, key, 1, "a", "", 5.0)
        attempts.update(store, attempt.id, phase=Phase.ENDED, outcome="done")
        attempts.update(store, attempt.id, outcome="failed")
    assert attempts.get(store, attempt.id).outcome == "done"
    with pytest.raises(Refused), store.transaction():
        attempts.update(store, attempt.id, phase=Phase.RUNNING)


def test_a_restarted_task_forgets_what_counted_before(store):
    key = add(store)
    with store.transaction():
        attempt = attempts.insert(store, key, 1, "a", "", 5.0)
        attempts.update(store, attempt.id, phase=Phase.ENDED, usage=Usage(input_tokens=5, usd=0.5))
    assert len(attempts.since_fresh(store, key)) == 1
    with store.transaction():
        tasks.update(store, key, 9.0, fresh_after=1)
    assert attempts.since_fresh(store, key) == []
    assert attempts.usage(store).input_tokens == 5


def test_whoever_takes_over_fences_the_other_off(store):
    add(store)
    other = Store(store.path)
    other.take_over()
    with pytest.raises(Fenced), store.transaction():
        pass
    with other.transaction():
        events.append(other, 1.0, "task_added")
    other.close()


def test_events_are_numbered_without_reuse_and_read_on_from_any_of_them(store):
    with store.transaction():
        for n in range(5):
            events.append(store, float(n), "task_changed", f"int-{n % 2}", n=n)
    found = events.since(store, 2, 0.0, "", (), 100)
    assert [e.seq for e in found] == [3, 4, 5]
    assert [e.data["n"] for e in events.since(store, 0, 0.0, "int-1", (), 100)] == [1, 3]
    assert [e.seq for e in events.since(store, 0, 3.0, "", (), 100)] == [4, 5]
    assert events.since(store, 0, 9.0, "", (), 100) == []
    assert events.since(store, 0, 0.0, "", ("other",), 100) == []


def test_an_effect_is_queued_once_and_leased_to_one(store):
    with store.transaction():
        for _ in range(2):
            outbox.queue(store, 1.0, "capture", "send", "k1", "int-1", {"text": "hi"})
        first = outbox.take(store, "capture", 10.0, 30.0, 10)
        assert [e.payload for e in first] == [{"text": "hi"}]
        assert outbox.take(store, "capture", 20.0, 30.0, 10) == []
        again = outbox.take(store, "capture", 41.0, 30.0, 10)
        assert again[0].fence == first[0].fence + 1
        assert not outbox.finish(store, first[0].id, first[0].fence, {})
        assert outbox.finish(store, again[0].id, again[0].fence, {"ok": 1})
        assert outbox.take(store, "capture", 1e9, 30.0, 10) == []


def test_a_failed_effect_comes_back_at_its_time_or_never(store):
    with store.transaction():
        outbox.queue(store, 1.0, "x", "send", "k", "", {})
        [effect] = outbox.take(store, "x", 10.0, 5.0, 1)
        outbox.fail(store, effect.id, effect.fence, "no", 100.0)
        assert outbox.take(store, "x", 99.0, 5.0, 1) == []
        [effect] = outbox.take(store, "x", 100.0, 5.0, 1)
        outbox.fail(store, effect.id, effect.fence, "never", None)
        assert outbox.take(store, "x", 1e9, 5.0, 1) == []


def test_a_delivery_is_kept_once(store):
    with store.transaction():
        assert outbox.receive(store, 1.0, "telegram", "7", {"a": 1})
        assert not outbox.receive(store, 2.0, "telegram", "7", {"a": 1})
        assert outbox.receive(store, 2.0, "slack", "7", {"a": 1})


def test_a_job_fires_once_for_each_due_time(store):
    with store.transaction():
        job_runs.fire(store, JobRun(project="o/r", job="j", due=60.0, task="int-1"))
    with pytest.raises(apsw.ConstraintError), store.transaction():
        job_runs.fire(store, JobRun(project="o/r", job="j", due=60.0, task="int-2"))
    fired = job_runs.fired(store, "o/r", "j", 60.0)
    assert fired is not None
    assert fired.task == "int-1"
    assert job_runs.last_due(store, "o/r", "j") == 60.0


def test_a_job_is_seen_anew_when_its_schedule_changes(store):
    with store.transaction():
        for schedule, now in (("* * * * *", 1.0), ("* * * * *", 2.0), ("@daily", 3.0)):
            jobs.see(store, "o/r", "j", schedule, now)
            seen = jobs.seen(store, "o/r", "j")
            assert seen == (3.0 if schedule == "@daily" else 1.0, 0)


def test_readers_and_a_writer_never_meet_a_busy_database(store, tmp_path):
    done = threading.Event()
    wrong = []

    def read():
        reader = apsw.Connection(str(store.path))
        while not done.is_set():
            try:
                reader.execute("SELECT count(*) FROM events").fetchall()
            except apsw.Error as error:
                wrong.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(100):
        with store.transaction():
            events.append(store, float(n), "task_changed")
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert events.last(store) == 100


def test_a_database_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "orch.db"
    store = Store(path)
    store.execute("PRAGMA user_version = 999")
    store.close()
    with pytest.raises(Refused, match="schema 999"):
        Store(path)


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "orch.db"
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(Unknown, match="cannot be used"):
        Store(path)


def test_a_full_disk_is_told_and_nothing_of_the_change_stays(store):
    key = add(store)
    pages = store.one("PRAGMA page_count")[0]
    store.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unknown, match="cannot be written"), store.transaction():
        tasks.update(store, key, 2.0, body="x" * 1_000_000)
    assert tasks.get(store, key).body == ""
    store.execute("PRAGMA max_page_count = 1000000")
    with store.transaction():
        tasks.update(store, key, 2.0, body="x" * 1_000_000)
    assert len(tasks.get(store, key).body) == 1_000_000


def test_listing_uses_an_index_however_many_tasks_there_are(store):
    plans = [
        "SELECT key FROM tasks t WHERE t.project = 'o/r' AND t.status IN ('new') ORDER BY id",
        "SELECT key FROM tasks t WHERE status = 'routed' ORDER BY priority DESC, id LIMIT 9",
    ]
    for sql in plans:
        steps = " ".join(str(r["detail"]) for r in store.rows(f"EXPLAIN QUERY PLAN {sql}"))
        assert "USING INDEX" in steps or "USING COVERING INDEX" in steps, steps


def test_totals_are_exact_whatever_happens_to_tasks(store):
    keys = [add(store, project="o/r" if n % 2 else "x/y") for n in range(6)]
    move(store, keys[0], Status.DONE)
    move(store, keys[1], Status.BLOCKED, Status.NEW, Status.DONE, Status.NEW)
    with pytest.raises(ZeroDivisionError), store.transaction():
        tasks.update(store, keys[2], 3.0, status=Status.DONE)
        _ = 1 / 0
    assert tasks.counts(store) == {"new": 5, "done": 1}
    assert tasks.counts(store, "x/y") == {"new": 2, "done": 1}


def test_a_page_holds_the_newest_that_match_oldest_first(store):
    keys = [add(store, title=f"t{n}", author="me" if n == 3 else "") for n in range(8)]
    move(store, keys[5], Status.DONE)
    found, total = tasks.page(store, limit=4)
    assert [task.key for task in found] == keys[4:]
    assert total == 8
    found, total = tasks.page(store, statuses=("done", "blocked"))
    assert ([task.key for task in found], total) == ([keys[5]], 1)
    found, total = tasks.page(store, author="me")
    assert ([task.key for task in found], total) == ([keys[3]], 1)
    assert tasks.page(store, project="no/such") == ([], 0)


def test_pages_are_read_back_from_any_task(store):
    keys = [add(store, title=f"t{n}") for n in range(10)]
    for key in keys[::3]:
        move(store, key, Status.ROUTED)
    page, total = tasks.page(store, limit=4)
    older, same = tasks.page(store, limit=4, before=page[0].key)
    oldest, _ = tasks.page(store, limit=4, before=older[0].key)
    assert [one.key for one in (*oldest, *older, *page)] == keys
    assert total == same == 10
    assert tasks.page(store, limit=4, before=keys[0])[0] == []


def test_the_queue_is_read_on_from_any_place_in_it(store):
    for priority in (0, 5, 0, 9, 0):
        with store.transaction():
            tasks.insert_internal(store, Task(key="", project="o/r", title="t"), priority=priority)
    whole = tasks.ready(store, Status.NEW, 1.0, ("o/r",), tasks.FRONT, 100)
    assert [task.key for _, task in whole] == ["int-4", "int-2", "int-1", "int-3", "int-5"]
    for n, (place, _) in enumerate(whole):
        rest = tasks.ready(store, Status.NEW, 1.0, ("o/r",), place, 100)
        assert rest == whole[n + 1 :]


def test_a_question_is_kept_once_for_each_attempt_and_comes_back_as_it_went_in(store):
    key = add(store)
    asked = Question(question="q1", tool="Bash", text="rm 'x'; --", options=("ä", "b"))
    with store.transaction():
        attempt = attempts.insert(store, key, 1, "claude", "", 1.0)
        number = approvals.ask(store, key, attempt.id, "s", asked, 2.0)
        assert approvals.ask(store, key, attempt.id, "s", asked, 3.0) is None
    found = approvals.get(store, number)
    assert (found.task, found.n, found.agent, found.session) == (key, 1, "claude", "s")
    assert (found.text, found.options, found.asked_at) == ("rm 'x'; --", ("ä", "b"), 2.0)
    assert approvals.waiting(store) == approvals.of_task(store, key) == [found]
    with store.transaction():
        approvals.update(store, number, state=ApprovalState.DENIED, by="ada", delivered=True)
    assert approvals.waiting(store) == []
    (row,) = approvals.of_attempt(store, attempt.id).values()
    assert (row.state, row.by, row.delivered) == (ApprovalState.DENIED, "ada", True)
    with pytest.raises(NotFound):
        approvals.get(store, 99)


def test_texts_for_a_taken_session_wait_and_answers_do_not(store):
    key = add(store)
    with store.transaction():
        attempt = attempts.insert(store, key, 1, "claude", "", 1.0)
        takeovers.take(store, attempt.id, "s1", "ada", 1.0)
        takeovers.take(store, attempt.id, "s1", "bo", 2.0)
        for n, (kind, session) in enumerate([("send", "s1"), ("answer", "s1"), ("send", "s2")]):
            outbox.queue(store, 1.0, "capture", kind, f"k{n}", key, {"session": session})
    assert takeovers.all_of_them(store)["s1"].by == "ada"

    def taken():
        with store.transaction():
            return [one.key for one in outbox.take(store, "capture", 5.0, 30.0, 10)]

    assert taken() == ["k1", "k2"]
    with store.transaction():
        assert takeovers.release(store, attempt.id)
        assert not takeovers.release(store, attempt.id)
    assert taken() == ["k0"]


def test_leases_that_nobody_holds_can_be_ended(store):
    with store.transaction():
        for n, target in enumerate(("capture", "capture", "github")):
            outbox.queue(store, 1.0, target, "send", f"k{n}", "", {})
        (first, held) = outbox.take(store, "capture", 5.0, 30.0, 10)
        outbox.take(store, "github", 5.0, 30.0, 10)
        outbox.free(store, "capture", (held.id,))
        (again,) = outbox.take(store, "capture", 6.0, 30.0, 10)
        assert outbox.take(store, "github", 6.0, 30.0, 10) == []
    assert again.key == first.key == "k0"
    assert (again.fence, again.tries) == (2, 2)
    with store.transaction():
        assert outbox.finish(store, again.id, 2, {})
        assert not outbox.finish(store, again.id, 2, {}), "once"
    assert outbox.named(store, again.id) == ("k0", "send", "")
    assert outbox.named(store, 99) == ("", "", "")
