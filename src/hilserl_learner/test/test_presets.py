"""Presets are sets of parameters that exist, of the types that ROS takes."""

from dataclasses import asdict

import pytest

from hilserl_core.parameters import build
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_set_of_parameters(name):
    built = asdict(build(LearnerParameters, PRESETS[name]))
    for key, value in PRESETS[name].items():
        assert built[key] == value
        # ROS tells 1 from 1.0, where Python takes either for a float.
        assert type(value) is type(getattr(LearnerParameters, key))


def test_the_default_preset_changes_nothing():
    assert build(LearnerParameters, PRESETS["default"]) == LearnerParameters()
