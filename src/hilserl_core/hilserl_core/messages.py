"""Conversion between ROS messages and the domain's dataclasses; the only place for it."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import ArrayLike, NDArray
from sensor_msgs.msg import Image

from hilserl_core.errors import UserError
from hilserl_core.step import Observation, Outcome, Phase, Source, Step
from hilserl_msgs.msg import Action
from hilserl_msgs.msg import Observation as ObservationMsg
from hilserl_msgs.msg import Step as StepMsg


def stamp_to_ns(stamp: Time) -> int:
    """A stamp as one integer, ns."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def ns_to_stamp(ns: int) -> Time:
    """The stamp of an integer in ns."""
    sec, nanosec = divmod(ns, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def floats(values: ArrayLike) -> array[float]:
    """float32[] of a message: an array is assigned whole, a list is checked one by one."""
    return array("f", np.ascontiguousarray(values, np.float32).tobytes())


def doubles(values: ArrayLike) -> array[float]:
    """float64[] of a message."""
    return array("d", np.ascontiguousarray(values, np.float64).tobytes())


def float32(values: Any) -> NDArray[np.float32]:
    """A message's float32[] as an array of its own."""
    return np.array(values, np.float32)


def image_to_msg(image: NDArray[np.uint8], stamp: int, frame: str = "") -> Image:
    """An rgb8 message of an image (height, width, 3) uint8."""
    height, width, _ = image.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.header.stamp = ns_to_stamp(stamp)
    message.header.frame_id = frame
    message.data = array("B", np.ascontiguousarray(image).tobytes())
    return message


def image_from_msg(message: Image) -> NDArray[np.uint8]:
    """The image (height, width, 3) uint8 of an rgb8 message.

    Raises:
        UserError: the encoding is another, or the data does not fill the size it states.
    """
    if message.encoding != "rgb8":
        raise UserError(f"an image's encoding is '{message.encoding}': publish rgb8")
    data = np.frombuffer(message.data, np.uint8)
    if data.size != message.height * message.step or message.step < 3 * message.width:
        raise UserError(
            f"an image of {message.width} x {message.height} holds {data.size} bytes "
            f"with step {message.step}: its publisher is at fault"
        )
    rows = data.reshape(message.height, message.step)[:, : 3 * message.width]
    return rows.reshape(message.height, message.width, 3).copy()


def observation_to_msg(observation: Observation) -> ObservationMsg:
    message = ObservationMsg(state=floats(observation.state))
    message.header.stamp = ns_to_stamp(observation.stamp)
    message.images = [image_to_msg(image, observation.stamp) for image in observation.images]
    return message


def observation_from_msg(message: ObservationMsg) -> Observation:
    return Observation(
        stamp=stamp_to_ns(message.header.stamp),
        state=float32(message.state),
        images=tuple(image_from_msg(image) for image in message.images),
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
