from dataclasses import dataclass

import pytest

from hilserl_core.parameters import ParameterError, build, parameter, parse


@dataclass(frozen=True)
class Parameters:
    batch_size: int = parameter(256, "Steps in a batch.", low=1, high=4096)
    tau: float = parameter(0.005, "Polyak factor.", low=0.0, high=1.0)
    task: str = parameter("lift_cube", "The task.", choices=("lift_cube", "reach"))
    weights: tuple[float, ...] = parameter((1.0, 2.0), "Quotas.", low=0.0)
    compile: bool = parameter(True, "Compile the update.")


def test_defaults_and_given_values():
    result = build(Parameters, {"batch_size": 8, "tau": 1, "weights": [3, 4.5]})
    assert result == Parameters(batch_size=8, tau=1.0, weights=(3.0, 4.5))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"batch_size": 0}, r"'batch_size': 0 is out of range, choose 1 to 4096"),
        ({"batch_size": 2.5}, r"'batch_size': 2.5 is not a int"),
        ({"batch_size": True}, r"'batch_size': True is not a int"),
        ({"tau": float("nan")}, r"'tau': nan is out of range"),
        ({"task": "juggle"}, r"'task': 'juggle' is not one of lift_cube, reach"),
        ({"weights": [1.0, -1.0]}, r"'weights': -1.0 is out of range, choose 0.0 to inf"),
        ({"weights": "12"}, r"'weights': '12' is not"),
        ({"speed": 1}, r"'speed' is unknown, choose from: batch_size"),
    ],
)
def test_mistakes_name_the_parameter_the_value_and_the_remedy(values, words):
    with pytest.raises(ParameterError, match=words):
        build(Parameters, values)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("batch_size", "12", 12),
        ("tau", "0.5", 0.5),
        ("compile", "false", False),
        ("weights", "1, 2", (1.0, 2.0)),
        ("task", "reach", "reach"),
    ],
)
def test_values_as_typed(name, text, value):
    assert parse(Parameters, name, text) == value


@pytest.mark.parametrize(("name", "text"), [("compile", "maybe"), ("batch_size", "x"), ("q", "1")])
def test_typed_mistakes(name, text):
    with pytest.raises(ParameterError, match=name):
        parse(Parameters, name, text)
