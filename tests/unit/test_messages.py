"""The wire: what goes out comes back, and what cannot be read is told, never a crash."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch import __version__, messages
from orch.client import keyed, open_envelope, read_event, topic
from orch.desk import read_envelope
from orch.errors import BY_NAME, Malformed, OrchError
from orch.messages import (
    MAX_BYTES,
    AddTask,
    CountTasks,
    Envelope,
    EventLogged,
    Failed,
    ListTasks,
    Message,
    Occurred,
    Ping,
    Request,
    TakeEffects,
    concrete,
    decode,
    encode,
    failure,
    raised,
    reply_type,
)

REQUESTS = {n: c for n, c in concrete(Request).items() if c.__module__ == messages.__name__}


@pytest.mark.parametrize("request_", [AddTask("t", "o/r", labels=("a",)), ListTasks(), Ping()])
def test_a_request_comes_back_as_it_went(request_):
    assert decode(encode(request_), Request) == request_


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_names_the_reply_it_gets(name):
    assert issubclass(reply_type(REQUESTS[name]), Message)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_error_travels_as_its_class(name):
    error = raised(failure(BY_NAME[name]("message", "hint")))

    assert (type(error), error.message, error.hint) == (BY_NAME[name], "message", "hint")


def test_an_error_class_that_only_the_other_side_knows_is_still_expected():
    assert type(raised(Failed("Newer", "m"))) is OrchError


@pytest.mark.parametrize(
    "data, said",
    [
        (b"", "truncated"),
        (b"\xc1", "cannot read"),
        (b"\x81\xa4type\xa5DoWar", "unknown message 'DoWar'"),
        (b"\x81\xa4type\x05", "Expected `str`"),
        (b"\x82\xa4type\xa4Ping\xa3new\x01", "unknown field `new`"),
        (msgspec.msgpack.encode({"type": "CountTasks", "project": 5}), "$.project"),
        (b"\x82\xa4type\xaaEffectDone\xa6result" + b"\x81\xa1a" * 100_000, "recursion"),
        (b"x" * (MAX_BYTES + 1), "over the limit"),
    ],
)
def test_what_cannot_be_read_is_malformed_and_says_why(data, said):
    with pytest.raises(Malformed, match=said.replace("$", r"\$")):
        decode(data, Request)


def test_another_version_is_named_together_with_ours():
    with pytest.raises(Malformed) as caught:
        decode(b"\x81\xa4type\xa5DoWar", Request, peer="99.0.0")

    assert "99.0.0" in caught.value.message
    assert __version__ in caught.value.message
    assert caught.value.hint == "run `orch service restart`"


FIELDS = st.dictionaries(
    st.sampled_from(["type", "id", "key"]), st.sampled_from(["AddTask", "Ping", 1, None, []])
)


@given(st.binary(max_size=200) | st.builds(msgspec.msgpack.encode, FIELDS))
def test_no_bytes_raise_anything_but_malformed(data):
    for base in (Request, Message, Occurred):
        try:
            decode(data, base)
        except Malformed:
            continue


@given(st.lists(st.binary(max_size=100), max_size=4))
def test_no_frames_make_an_envelope_by_chance(frames):
    assert read_envelope([b"peer", *frames]) is None
    for frame in frames:
        open_envelope(frame)
        read_event(frame)


def test_an_empty_key_is_filled_once_and_a_given_one_is_kept():
    filled = keyed(AddTask("t", "p"))

    assert len(filled.key) == 32
    assert keyed(filled) is filled
    assert keyed(AddTask("t", "p")).key != filled.key
    for without in (CountTasks(), TakeEffects("engine")):
        assert keyed(without) is without


def test_an_events_frame_begins_with_its_exact_name():
    frame = topic(EventLogged) + encode(EventLogged(7))

    assert frame.startswith(b"EventLogged\0")
    assert read_event(frame) == EventLogged(7)


def test_the_envelope_can_be_read_when_the_message_in_it_cannot():
    frame = msgspec.msgpack.encode(Envelope(b"i" * 16, "9", 1.0, b"\xc1"))

    assert read_envelope([b"peer", frame]).id == b"i" * 16
