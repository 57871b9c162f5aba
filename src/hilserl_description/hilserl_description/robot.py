"""What the nodes of a run need to know of its robot: an arm, or an environment in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from hilserl_core.assembly import ObservationAssembler
from hilserl_core.measuring import MeasurementReader, camera_stream, image_reader
from hilserl_core.spec import ActionSpec, ObservationSpec
from hilserl_core.spec_file import read_specs
from hilserl_core.step import Observation
from hilserl_description.action_mapping import ActionMapping, BoxMapping, CommandMapping
from hilserl_description.arm_model import JOINT_NAMES, OBSERVATIONS, ArmModel, action_spec
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.models import MODELS
from hilserl_description.robot_parameters import ActingParameters
from hilserl_msgs.msg import Observation as ObservationMsg

ENVIRONMENT_STATE = "environment/state"
"""Where an environment publishes what it measures, beside its cameras."""


class ObservationReader(Protocol):
    """Makes observations of what a robot publishes.

    Attributes:
        types: message type of every stream, by the stream's name, which is its topic.
    """

    types: dict[str, type[Any]]

    def read(self, stream: str, message: Any) -> Any:
        """What a message of a stream measures.

        Raises:
            UserError: it does not fit; the caller knows the topic.
        """

    def observation(
        self, stamp: int, values: Mapping[str, Any], command: NDArray[np.float64]
    ) -> Observation:
        """The observation of one tick.

        Args:
            stamp: ns, of the newest part.
            values: what ``read`` gave for each stream.
            command: of the last executed action, in the robot's units.

        Raises:
            SpecError: a part is missing, has the wrong size, or is not finite.
        """


class ArmReader(MeasurementReader):
    """Observations of an arm.

    Args:
        spec: of the observations.
        arm: whose kinematics say where the tool is.
    """

    def __init__(self, spec: ObservationSpec, arm: ArmModel) -> None:
        super().__init__(spec, JOINT_NAMES)
        self._assemble = ObservationAssembler(spec, ForwardKinematics(arm).position)

    def observation(
        self, stamp: int, values: Mapping[str, Any], command: NDArray[np.float64]
    ) -> Observation:
        """As an ``ObservationReader``; ``command`` is (joints,) rad."""
        return self._assemble(self.measurements(stamp, values, command))


class EnvironmentReader:
    """Observations of an environment, which says them whole; its cameras beside it.

    Args:
        spec: of the observations.
    """

    def __init__(self, spec: ObservationSpec) -> None:
        self._spec = spec
        self._cameras = {camera_stream(image.name): image_reader(image) for image in spec.images}
        self.types: dict[str, type[Any]] = {
            ENVIRONMENT_STATE: ObservationMsg,
            **dict.fromkeys(self._cameras, Image),
        }

    def read(self, stream: str, message: Any) -> Any:
        if stream in self._cameras:
            return self._cameras[stream](message)
        state = np.array(message.state, np.float32)
        self._spec.check_state(state)
        return state

    def observation(
        self, stamp: int, values: Mapping[str, Any], command: NDArray[np.float64]
    ) -> Observation:
        images = tuple(values[stream] for stream in self._cameras)
        return Observation(stamp, values[ENVIRONMENT_STATE], images)


@dataclass(frozen=True)
class Robot:
    """One kind of robot.

    Attributes:
        observation, action: the run's specs.
        commands: names of the numbers in a command.
        home: (commands,), the command before the first reset.
        reader: makes what reads its measurements.
        mapping: makes what turns actions into commands.
    """

    observation: ObservationSpec
    action: ActionSpec
    commands: tuple[str, ...]
    home: NDArray[np.float64]
    reader: Callable[[], ObservationReader]
    mapping: Callable[[], CommandMapping]


def robot_of(p: ActingParameters) -> Robot:
    """The robot that parameters name.

    Raises:
        UserError: the file of specs cannot be read.
    """
    if p.specs:
        observation, action = read_specs(Path(p.specs).expanduser())
        home = action.to_box(np.zeros(action.dim, np.float32))
        return Robot(
            observation,
            action,
            action.names,
            home,
            lambda: EnvironmentReader(observation),
            lambda: BoxMapping(action),
        )
    arm, action = MODELS[p.arm], action_spec(p.action_space)
    seen = arm.observation_spec(getattr(p, "observation", OBSERVATIONS[0]))
    return Robot(
        seen,
        action,
        JOINT_NAMES,
        arm.home.copy(),
        lambda: ArmReader(seen, arm),
        lambda: ActionMapping(action, arm),
    )
