"""Conversion between ROS messages and the domain's dataclasses; the only place for it."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilserl_core.errors import UserError
from hilserl_core.images import to_image, to_rgb
from hilserl_core.stamps import ns_to_stamp, stamp_to_ns
from hilserl_core.step import Observation, Outcome, Phase, Source, Step, name_of
from hilserl_msgs.msg import Action
from hilserl_msgs.msg import Observation as ObservationMsg
from hilserl_msgs.msg import Step as StepMsg


def floats(values: ArrayLike) -> array[float]:
    """float32[] of a message: an array is assigned whole, a list is checked one by one."""
    return array("f", np.ascontiguousarray(values, np.float32).tobytes())


def doubles(values: ArrayLike) -> array[float]:
    """float64[] of a message."""
    return array("d", np.ascontiguousarray(values, np.float64).tobytes())


def float32(values: Any) -> NDArray[np.float32]:
    """A message's float32[] as an array of its own."""
    return np.array(values, np.float32)


STEP_IMAGES = "rgb8"
"""Encoding of the images in observations and steps, whatever a camera sent."""


class MessageError(UserError):
    """A message holds what nobody of this version sends."""


def check_step(message: StepMsg) -> None:
    """Refuses a step that no bag could hold, or nobody could read.

    Raises:
        MessageError: its stamp is before 1970, a number of it means nothing, or an image is
            none.
    """
    stamp = stamp_to_ns(message.observation.header.stamp)
    if stamp < 0:
        raise MessageError(f"topic steps: a stamp of {stamp} ns: is a clock wrong?")
    for kind, number in (
        (Source, message.source),
        (Outcome, message.outcome),
        (Phase, message.phase),
    ):
        if number > max(kind):
            raise MessageError(
                f"topic steps: {name_of(kind, number)} means nothing (0 to {int(max(kind))} do): "
                "start every node from the same version"
            )
    for image in message.observation.images:
        if image.encoding != STEP_IMAGES or len(image.data) != 3 * image.height * image.width:
            raise MessageError(
                f"topic steps: an image of {image.height} x {image.width}, encoding "
                f"'{image.encoding}', {len(image.data)} bytes: steps hold {STEP_IMAGES} alone"
            )


def observation_to_msg(observation: Observation) -> ObservationMsg:
    message = ObservationMsg(state=floats(observation.state))
    message.header.stamp = ns_to_stamp(observation.stamp)
    message.images = [to_image(image, observation.stamp) for image in observation.images]
    return message


def observation_from_msg(message: ObservationMsg) -> Observation:
    return Observation(
        stamp=stamp_to_ns(message.header.stamp),
        state=float32(message.state),
        images=tuple(to_rgb(image) for image in message.images),
    )


def action_to_msg(
    stamp: int,
    values: ArrayLike,
    source: Source,
    policy_version: int = 0,
    command: ArrayLike = (),
) -> Action:
    """An action that answers the observation of ``stamp`` (ns)."""
    message = Action(
        values=floats(values),
        source=int(source),
        policy_version=policy_version,
        command=doubles(command),
    )
    message.header.stamp = ns_to_stamp(stamp)
    return message


def step_to_msg(step: Step) -> StepMsg:
    return StepMsg(
        observation=observation_to_msg(step.observation),
        action=floats(step.action),
        policy_action=floats(step.policy_action),
        features=array("B", step.features),
        encoder=step.encoder,
        source=int(step.source),
        reward=float(step.reward),
        is_first=step.is_first,
        is_last=step.is_last,
        is_terminal=step.is_terminal,
        outcome=int(step.outcome),
        run=step.run,
        phase=int(step.phase),
        episode=step.episode,
        index=step.index,
        policy_version=step.policy_version,
        spec=step.spec,
    )


def step_from_msg(message: StepMsg) -> Step:
    """Raises: MessageError, as ``check_step``."""
    check_step(message)
    return Step(
        observation=observation_from_msg(message.observation),
        action=float32(message.action),
        policy_action=float32(message.policy_action),
        features=bytes(message.features),
        encoder=message.encoder,
        source=Source(message.source),
        reward=message.reward,
        is_first=message.is_first,
        is_last=message.is_last,
        is_terminal=message.is_terminal,
        outcome=Outcome(message.outcome),
        run=message.run,
        phase=Phase(message.phase),
        episode=message.episode,
        index=message.index,
        policy_version=message.policy_version,
        spec=message.spec,
    )
