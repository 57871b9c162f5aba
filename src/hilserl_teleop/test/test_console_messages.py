import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilserl_core.step import Event
from hilserl_teleop.console_messages import (
    MAX_BYTES,
    Drive,
    MessageError,
    Press,
    ReleaseStop,
    Seen,
    View,
    parse,
)

DRIVE = {"type": "drive", "move": [0.5, -1, 0], "grip": 1, "speed": 0.25}

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("drive")
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
kinds = st.sampled_from(["drive", "event", "release_stop", "view", "seen"])
keys = st.sampled_from(["type", "move", "grip", "speed", "event", "cameras", "frame", "other"])
nearly = st.dictionaries(keys, values, max_size=6).flatmap(
    lambda content: kinds.map(lambda kind: {**content, "type": kind})
)


def test_every_message_is_understood():
    assert parse(json.dumps(DRIVE)) == Drive((0.5, -1.0, 0.0), 1, 0.25)
    for event in Event:
        assert parse(f'{{"type": "event", "event": "{event.name.lower()}"}}') == Press(event)
    assert parse('{"type": "release_stop"}') == ReleaseStop()
    assert parse('{"type": "view", "cameras": ["a", "b", "a"]}') == View(("a", "b"))
    assert parse('{"type": "seen", "frame": 7}') == Seen(7)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"move": [0, 0]}, "three numbers"),
        ({"move": [0, 0, 1.01]}, "from -1 to 1"),
        ({"move": [0, True, 0]}, "from -1 to 1"),
        ({"move": [0, "1", 0]}, "from -1 to 1"),
        ({"grip": 0.5}, "whole number"),
        ({"grip": 2}, "from -1 to 1"),
        ({"speed": 0.0}, "from 0.1 to 1"),
        ({"speed": 1e400}, "from 0.1 to 1"),
        ({"more": 1}, "exactly the keys"),
        ({"type": "exec"}, "'type' is one of"),
        ({"type": ["drive"]}, "'type' is one of"),
    ],
)
def test_a_wrong_message_is_refused_by_what_is_wrong(change, words):
    text = json.dumps({**DRIVE, **change}).replace("Infinity", "1e400")
    with pytest.raises(MessageError, match=words):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"type": "drive", "move": [NaN, 0, 0], "grip": 0, "speed": 1}',
        "[" * MAX_BYTES,
        '{"type":' * 100,
        '{"type": "drive", "move": [' + "9" * 800 + ', 0, 0], "grip": 0, "speed": 1}',
        "x" * (MAX_BYTES + 1),
        b"\x00\xff",
        "\ud800",
    ],
)
def test_what_is_no_message_is_refused(text):
    with pytest.raises(MessageError):
        parse(text)


@settings(max_examples=300)
@given(st.one_of(nearly, values).map(json.dumps))
def test_whatever_is_sent_is_refused_or_within_its_bounds(text):
    try:
        message = parse(text)
    except MessageError:
        return
    if isinstance(message, Drive):
        assert np.isfinite(message.move).all()
        assert np.abs(message.move).max() <= 1
        assert message.grip in (-1, 0, 1)
        assert 0.1 <= message.speed <= 1
