import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hilserl_core.spec import (
    ActionSpec,
    Field,
    ImageField,
    ObservationSpec,
    SpecError,
    gripper_choice,
    run_spec_hash,
)

SPEC = ObservationSpec(
    (Field("joint_position", (-2.0, 0.0), (2.0, 1.0), "rad"), Field("height", (0.0,), (0.1,), "m"))
)
ACTION = ActionSpec("ee_delta", ("x", "y", "z", "gripper"), (0.02, 0.02, 0.02, 1.0))


def test_normalisation_maps_bounds_to_one():
    low, high = np.float32([-2, 0, 0]), np.float32([2, 1, 0.1])
    np.testing.assert_allclose(SPEC.normalise(low), -1, atol=1e-6)
    np.testing.assert_allclose(SPEC.normalise(high), 1, atol=1e-6)


@given(arrays(np.float32, (5, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_normalised_states_are_bounded_and_keep_their_shape(states):
    normalised = SPEC.normalise(states)
    assert normalised.shape == states.shape
    assert normalised.dtype == np.float32
    assert np.abs(normalised).max() <= 3


def test_a_field_may_run_the_other_way_round_but_not_stand_still():
    spec = ObservationSpec((Field("gripper", (0.9,), (-0.1,), "rad"),))
    for value, normalised in ((0.9, -1), (0.4, 0), (-0.1, 1)):
        np.testing.assert_allclose(spec.normalise(np.float32([value])), normalised, atol=1e-6)
    with pytest.raises(SpecError, match="differ"):
        Field("gripper", (0.5,), (0.5,))


def test_slices_follow_the_order_of_fields():
    assert SPEC.slices == {"joint_position": slice(0, 2), "height": slice(2, 3)}


@pytest.mark.parametrize(
    ("state", "words"),
    [(np.zeros(2, np.float32), "joint_position 2"), (np.float32([0, np.nan, 0]), "joint_position")],
)
def test_a_bad_state_is_named(state, words):
    with pytest.raises(SpecError, match=words):
        SPEC.check_state(state)


def test_hash_changes_with_every_part():
    other = ObservationSpec(SPEC.fields, (ImageField("front"),))
    hashes = {
        run_spec_hash(SPEC, ACTION),
        run_spec_hash(other, ACTION),
        run_spec_hash(SPEC, ActionSpec("ee_delta", ACTION.names, (0.03, 0.02, 0.02, 1.0))),
    }
    assert len(hashes) == 3
    assert run_spec_hash(SPEC, ACTION) == run_spec_hash(ObservationSpec(SPEC.fields), ACTION)


@pytest.mark.parametrize("values", [[0, 0, 0], [0, 0, 0, np.inf], [np.nan, 0, 0, 0]])
def test_actions_of_wrong_size_or_not_finite_are_refused(values):
    with pytest.raises(SpecError):
        ACTION.check(values)


def test_actions_are_clipped():
    np.testing.assert_array_equal(ACTION.check([2, -3, 0.5, 1]), np.float32([1, -1, 0.5, 1]))


@pytest.mark.parametrize(("value", "choice"), [(-1, 0), (-0.34, 0), (0, 1), (0.2, 1), (0.4, 2)])
def test_gripper_choices(value, choice):
    assert gripper_choice(value) == choice


@pytest.mark.parametrize(
    "words",
    [
        ("velocity", ("x",), (1.0,)),
        ("ee_delta", ("x", "y"), (1.0,)),
        ("ee_delta", ("x",), (1.0,), True, (0.0,)),
        ("box", ("x",), (1.0,), False),
        ("box", ("x",), (1.0,), True, (0.0,)),
        ("box", ("x",), (0.0,), False, (0.0,)),
    ],
)
def test_specs_that_make_no_sense_are_refused(words):
    with pytest.raises(SpecError):
        ActionSpec(*words)


numbers = st.floats(-1e3, 1e3)


@given(st.lists(st.tuples(numbers, st.floats(0.01, 1e3), st.floats(-1, 1)), min_size=1, max_size=4))
def test_a_box_is_spanned_by_minus_one_and_one(parts):
    low = np.array([low for low, _, _ in parts])
    high = low + [size for _, size, _ in parts]
    spec = ActionSpec.box(low.tolist(), high.tolist())
    values = np.float32([value for *_, value in parts])
    np.testing.assert_allclose(spec.to_box(-np.ones_like(values)), low, atol=1e-9)
    np.testing.assert_allclose(spec.to_box(np.ones_like(values)), high, atol=1e-9)
    np.testing.assert_allclose(spec.from_box(spec.to_box(values)), values, atol=1e-5)
    np.testing.assert_array_equal(np.abs(spec.from_box(high + 1)), 1)
    assert (spec.arm_dim, spec.gripper) == (len(parts), False)
