"""A Gymnasium environment as a node: in place of the robot, its cameras and its judge.

It publishes a frame, waits for the command that answers it, and steps the environment; sim time
runs on ``/clock`` as fast as the graph of nodes allows. A command holds the action in the
environment's own units. The judge says 1 at success, -1 where an episode ended without, and
else 0: a dense reward of the environment is not used.

Where the package knows somebody who can show the task, that one demonstrates, and takes over
while the policy trains, as the operator's device ``leader``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import Image
from std_msgs.msg import Float64MultiArray

from hilserl_core import qos
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.images import to_image
from hilserl_core.measuring import camera_stream
from hilserl_core.messages import doubles, floats, observation_to_msg
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import ns_to_stamp, stamp_to_ns
from hilserl_core.step import Event, Observation, Phase, Source
from hilserl_description.robot import ENVIRONMENT_STATE
from hilserl_msgs.msg import Action, OperatorEvent, Reward, RunStatus
from hilserl_msgs.msg import Observation as ObservationMsg
from hilserl_msgs.srv import Reset
from hilserl_sim.gym_settings import GymSettings
from hilserl_sim.gym_tasks import Demonstrator
from hilserl_sim.operator import TakeoverKey
from hilserl_sim.sim_time import ANSWER_FIRST, REPEAT, SimTime

DEVICE = "leader"


@dataclass(frozen=True)
class GymParameters(GymSettings):
    """Parameters of ``gym_node``."""

    intervene: bool = parameter(True, "whoever can show the task helps while the policy trains")
    patience: float = parameter(
        0.6,
        "share of an episode's longest time after which that one takes over",
        low=0.0,
        high=1.0,
    )
    episode_ticks: int = parameter(150, "ticks of that time, for the patience", low=1, high=10**6)


class Teacher:
    """Decides when to drive: in demonstrations, and where the policy is late.

    Args:
        demonstrator: knows what to do; None: nobody does.
        parameters: of the node.
    """

    def __init__(self, demonstrator: Demonstrator | None, parameters: GymParameters) -> None:
        self._demonstrator, self._p = demonstrator, parameters
        self._key = TakeoverKey()
        self._phase, self._ticks, self._drives = Phase.DONE, 0, False

    def begin(self) -> None:
        """An episode starts."""
        self._ticks, self._drives = 0, False
        if self._demonstrator is not None:
            self._demonstrator.reset()

    def tick(
        self, phase: Phase, info: dict[str, object], driving: bool, dim: int
    ) -> tuple[np.ndarray, Event | None]:
        """The action (dim,) of this tick, zeros while not driving, and the key to press.

        Args:
            phase: of the run.
            info: what the environment said last.
            driving: whether the last action from here was the one executed.
            dim: numbers in an action.
        """
        self._ticks += 1
        self._drives = self._demonstrator is not None and (
            phase == Phase.RECORD or self._drives or self._is_late(phase)
        )
        event = self._key.press(self._drives, driving)
        if not self._drives:
            return np.zeros(dim, np.float32), event
        assert self._demonstrator is not None
        return self._demonstrator.act(info), event

    def _is_late(self, phase: Phase) -> bool:
        helps = phase == Phase.TRAIN and self._p.intervene
        return helps and self._ticks > self._p.patience * self._p.episode_ticks


class GymNode(Node):
    """The environment's topics and services."""

    def __init__(self) -> None:
        super().__init__("gym_node")
        self.parameters = declare(self, GymParameters)
        self._world, demonstrator = self.parameters.make()
        self._teacher = Teacher(demonstrator, self.parameters)
        self._time = SimTime()
        self._waiting = False
        self._published_at = time.monotonic()
        self._reward, self._over = 0.0, False
        self._phase = Phase.DONE
        self._driving = False
        self._make_publishers()
        self._make_inputs()
        Diagnostics(self, "simulation", self._health)
        shown = "nobody can show it" if demonstrator is None else "its demonstrator is here"
        self.get_logger().info(f"{self._world.name} in lockstep; {shown}")

    def _make_publishers(self) -> None:
        publish = self.create_publisher
        self._clock_topic = publish(ClockMsg, "/clock", qos.SENSOR)
        self._states = publish(ObservationMsg, ENVIRONMENT_STATE, qos.SIMULATED)
        self._rewards = publish(Reward, "reward", qos.RELIABLE)
        self._actions = publish(Action, f"teleop/{DEVICE}/action", qos.RELIABLE)
        self._events = publish(OperatorEvent, f"teleop/{DEVICE}/event", qos.RELIABLE)
        self._images = [
            publish(Image, camera_stream(image.name), qos.SIMULATED)
            for image in self._world.observation_spec.images
        ]

    def _make_inputs(self) -> None:
        topic = "forward_position_controller/commands"
        self.create_subscription(Float64MultiArray, topic, self._on_command, qos.COMMAND)
        self.create_subscription(Action, "action", self._on_action, qos.RELIABLE)
        self.create_subscription(RunStatus, "run/status", self._on_status, qos.LATCHED)
        self.create_service(Reset, "robot/reset", self._on_reset)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._first_frame = self.create_timer(ANSWER_FIRST, self._on_first_frame, clock=steady)
        self._first_frame.cancel()
        self.create_timer(REPEAT / 2, self._repeat, clock=steady)

    # Inputs.

    def _on_status(self, message: RunStatus) -> None:
        self._phase = Phase(min(message.phase, Phase.DONE))
        self._time.saw(stamp_to_ns(message.header.stamp))

    def _on_reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        self._world.reset(int(request.seed % 2**31))
        self._teacher.begin()
        self._reward, self._over = 0.0, False
        spec = self._world.action_spec
        response.success = True
        response.stamp = ns_to_stamp(self._time.begin())
        response.command = doubles(spec.to_box(np.zeros(spec.dim, np.float32)))
        self._waiting = False
        self._first_frame.reset()
        return response

    def _on_action(self, message: Action) -> None:
        self._driving = message.source == int(Source.HUMAN)

    def _on_command(self, message: Float64MultiArray) -> None:
        spec = self._world.action_spec
        if len(message.data) != spec.dim:
            self.get_logger().warning(
                f"a command of {len(message.data)} numbers is ignored: send {spec.dim}",
                throttle_duration_sec=5.0,
            )
            return
        if not self._waiting:
            return
        self._waiting = False
        if not self._over:
            step = self._world.step(spec.from_box(np.array(message.data)))
            failed = step.terminal and not step.success
            self._reward = float(bool(step.success)) - float(failed)
            self._over = step.terminal or step.truncated
        self._time.tick()
        self._publish_frame()

    def _on_first_frame(self) -> None:
        self._first_frame.cancel()
        self._publish_frame()

    def _repeat(self) -> None:
        """Sends what may have been lost again when nobody answers."""
        if self._waiting and time.monotonic() - self._published_at > REPEAT:
            self._published_at = time.monotonic()
            self._publish_observation()
            self._actions.publish(self._answer)

    # Outputs.

    def _publish_frame(self) -> None:
        """Everything that is known at one stamp; its command is then awaited."""
        self._waiting = True
        self._published_at = time.monotonic()
        stamp = ns_to_stamp(self._time.stamp)
        self._clock_topic.publish(ClockMsg(clock=stamp))
        self._observation = self._world.observe(self._time.stamp)
        self._publish_observation()
        reward = Reward(value=self._reward, judge="sim")
        reward.header.stamp = stamp
        self._rewards.publish(reward)
        self._teach()

    def _publish_observation(self) -> None:
        seen = self._observation
        self._states.publish(observation_to_msg(Observation(seen.stamp, seen.state)))
        fields = self._world.observation_spec.images
        for field, image, publisher in zip(fields, seen.images, self._images, strict=True):
            publisher.publish(to_image(image, seen.stamp, field.name))

    def _teach(self) -> None:
        """Whoever can show the task answers the frame as well; with zeros while not driving."""
        info = dict(self._world.info)
        dim = self._world.action_spec.dim
        values, event = self._teacher.tick(self._phase, info, self._driving, dim)
        stamp = ns_to_stamp(self._time.stamp)
        if event is not None:
            message = OperatorEvent(device=DEVICE, event=int(event))
            message.header.stamp = stamp
            self._events.publish(message)
        self._answer = Action(source=int(Source.HUMAN), values=floats(values))
        self._answer.header.stamp = stamp
        self._actions.publish(self._answer)

    def _health(self) -> Health:
        message = "waiting for a command" if self._waiting else "moving"
        return Health(message if self._time.stamp else "waiting for the first reset")

    def close(self) -> None:
        """Closes the environment."""
        self._world.close()


def main() -> None:
    """Entry point of the program."""
    run_node(GymNode, GymParameters)


if __name__ == "__main__":
    main()
