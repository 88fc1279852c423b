"""The rules of messages: names, owners, replies, units; and that requests say what they answer."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec
import pytest

from orch import messages, model
from orch.messages import Message, Occurred, Request, concrete, reply_type

VERB_LIST = """
    Act Add Adopt Answer Approve Ask Block Cancel Check Claim Clear Close Collect Count Deny Fire
    Get Kill Link List Mark Ping Publish Read Release Reload Remove Report Reroute Resize Restart
    Resume Retry Review Route Run Send Set Show Start Stop Subscribe Sync Take Unblock Unlink Watch
"""
VERBS = frozenset(VERB_LIST.split())
NAMED_BY_DESIGN = frozenset(
    {"EventsSince", "EffectDone", "EffectFailed", "Ping", "Upgrade", "Shutdown"}
)
"""Requests whose names DESIGN.md fixes though they are not verb and noun."""

IRREGULAR = frozenset({"Seen", "Sent", "Begun", "Lost", "Found", "Left", "Gone", "Written"})
OWNERS = frozenset(
    {"engine", "capture", "scheduler", "orchd", "github", "web", "webhook", "telegram", "discord"}
)
UNITS = frozenset({"seconds", "bytes", "tokens", "usd", "lines", "chars", "ratio"})
MEASURES = re.compile(
    r"^(timeout|interval|duration|delay|uptime|lease|pause|wait|elapsed|memory|pss|rss)$"
)


def words(name: str) -> list[str]:
    """The words of a name in CamelCase."""
    return re.findall(r"[A-Z][a-z0-9]*", name)


def bad_requests(requests: dict[str, type[Request]]) -> list[str]:
    """Requests that are not verb and noun, or lack an owner, a reply or a docstring."""
    problems = []
    for name, cls in requests.items():
        parts = words(name)
        if name not in NAMED_BY_DESIGN and (len(parts) < 2 or parts[0] not in VERBS):
            problems.append(f"{name}: a request is a verb and a noun")
        if not issubclass(cls, messages.ToAny) and cls.owner not in OWNERS:
            problems.append(f"{name}: has no owner")
        try:
            reply_type(cls)
        except TypeError:
            problems.append(f"{name}: names no reply")
    return problems


def bad_events(events: dict[str, type[Occurred]]) -> list[str]:
    """Events that are not noun and past participle, or have no owner."""
    problems = []
    for name, cls in events.items():
        parts = words(name)
        if len(parts) < 2 or not (parts[-1].endswith("ed") or parts[-1] in IRREGULAR):
            problems.append(f"{name}: an event is a noun and a past participle")
        if cls.owner not in OWNERS:
            problems.append(f"{name}: has no owner")
    return problems


def bad_fields(structs: dict[str, type[msgspec.Struct]]) -> list[str]:
    """Fields whose unit is not last, or that measure something and name no unit."""
    problems = []
    for name, cls in structs.items():
        for field in cls.__struct_fields__:
            parts = field.split("_")
            if UNITS & set(parts[:-1]):
                problems.append(f"{name}.{field}: the unit comes last")
            if MEASURES.match(field):
                problems.append(f"{name}.{field}: in which unit?")
    return problems


def undescribed(structs: dict[str, type[msgspec.Struct]]) -> list[str]:
    """Structs without a sentence of their own."""
    return [name for name, cls in structs.items() if not cls.__dict__.get("__doc__")]


def spoken() -> dict[str, type[msgspec.Struct]]:
    """Every message and every value."""
    values = {
        name: cls
        for name, cls in vars(model).items()
        if isinstance(cls, type) and issubclass(cls, msgspec.Struct)
    }
    return {**values, **ours(Message)}


def ours(base: type[Message]) -> dict[str, type[Any]]:
    """The messages of the grammar itself: other tests of the same run define their own."""
    return {n: cls for n, cls in concrete(base).items() if cls.__module__ == messages.__name__}


def test_every_request_is_a_verb_and_a_noun_with_one_owner_and_one_reply():
    assert bad_requests(ours(Request)) == []


def test_every_event_is_a_noun_and_a_past_participle():
    assert bad_events(ours(Occurred)) == []


def test_units_come_last_and_are_never_left_out():
    assert bad_fields(spoken()) == []


def test_every_message_says_what_it_means():
    assert undescribed(spoken()) == []


def test_every_message_class_keeps_its_own_name_on_the_wire():
    names = [cls.__name__ for cls in spoken_messages()]
    assert len(names) == len(set(names))
    assert all(msgspec.inspect.type_info(cls).tag == cls.__name__ for cls in spoken_messages())


def spoken_messages() -> list[type[Message]]:
    """Every message class that goes over the wire."""
    return list(ours(Message).values())


class Wrong(msgspec.Struct):
    timeout: float = 0
    seconds_left: float = 0


class Owned:
    owner: ClassVar[str] = ""


@pytest.mark.parametrize(
    "rule, name",
    [(bad_requests, "Tasks"), (bad_requests, "TaskAdd"), (bad_events, "AddTask")],
)
def test_a_wrong_name_is_seen(rule, name):
    problems = rule({name: messages.AddTask if rule is bad_requests else messages.EventLogged})
    assert len(problems) == 1


def test_a_missing_owner_or_reply_is_seen():
    nothing = type("AddNothing", (Request,), {}, frozen=True)
    found = bad_requests({"AddNothing": nothing})
    assert [problem.partition(": ")[2] for problem in found] == ["has no owner", "names no reply"]
    assert bad_events({"TaskMoved": Owned}) == ["TaskMoved: has no owner"]


def test_a_wrong_unit_and_a_missing_sentence_are_seen():
    assert len(bad_fields({"Wrong": Wrong})) == 2
    assert undescribed({"Wrong": Wrong}) == ["Wrong"]
