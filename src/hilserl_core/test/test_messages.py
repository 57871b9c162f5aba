import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from hilserl_core.messages import (
    step_from_msg,
    step_to_msg,
)
from hilserl_core.stamps import ns_to_stamp, stamp_to_ns
from hilserl_core.step import Observation, Outcome, Phase, Source, Step
from hilserl_msgs.msg import Step as StepMsg

floats = st.lists(st.floats(-10, 10, width=32), max_size=8).map(lambda v: np.array(v, np.float32))
stamps = st.integers(0, 2**31 * 10**9 - 1)


@st.composite
def steps(draw):
    image = st.binary(min_size=24, max_size=24).map(
        lambda data: np.frombuffer(data, np.uint8).reshape(2, 4, 3)
    )
    return Step(
        observation=Observation(
            draw(stamps), draw(floats), tuple(draw(st.lists(image, max_size=2)))
        ),
        action=draw(floats),
        policy_action=draw(floats),
        features=draw(st.binary(max_size=16)),
        encoder=draw(st.text("abc0", max_size=8)),
        source=draw(st.sampled_from(Source)),
        reward=draw(st.sampled_from([-1.0, 0.0, 1.0])),
        is_first=draw(st.booleans()),
        is_last=draw(st.booleans()),
        is_terminal=draw(st.booleans()),
        outcome=draw(st.sampled_from(Outcome)),
        run="run",
        phase=draw(st.sampled_from(Phase)),
        episode=draw(st.integers(0, 2**32 - 1)),
        index=draw(st.integers(0, 2**32 - 1)),
        policy_version=draw(st.integers(0, 2**63)),
        spec="spec",
    )


def equal(a, b):
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, Observation | Step):
        return all(equal(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return a == b


@given(steps())
def test_a_step_survives_the_wire(step):
    data = serialize_message(step_to_msg(step))
    assert equal(step_from_msg(deserialize_message(data, StepMsg)), step)


@given(stamps)
def test_stamps(ns):
    assert stamp_to_ns(ns_to_stamp(ns)) == ns
