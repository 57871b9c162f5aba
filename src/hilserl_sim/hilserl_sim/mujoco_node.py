"""The simulated robot as a node: the driver's and the cameras' topics, out of MuJoCo.

In lockstep it publishes a frame, waits for the command that answers it, and simulates one
control tick; sim time then runs on ``/clock`` as fast as the graph of nodes allows. Else
it follows the wall clock, holding the last command.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass

from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMsg
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from hilserl_core import qos
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.messages import doubles
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import ns_to_stamp, stamp_to_ns
from hilserl_core.step import Phase
from hilserl_description.arm_model import CONTROL_PERIOD, JOINT_NAMES
from hilserl_description.models import MODELS
from hilserl_description.scenes import CAMERAS, SCENES, TASKS
from hilserl_msgs.msg import Observation, RunStatus, ServoState
from hilserl_msgs.srv import Reset
from hilserl_sim.scene_topics import SceneTopics
from hilserl_sim.sim_time import ANSWER_FIRST, REPEAT, SimTime
from hilserl_sim.world import RAMP_PERIOD, REGIONS, SimulationError, World


@dataclass(frozen=True)
class MujocoParameters:
    """Parameters of ``mujoco_node``."""

    arm: str = parameter("koch", "which arm it is", choices=tuple(MODELS))
    task: str = parameter("lift_cube", "what the scene is for", choices=TASKS)
    scene: str = parameter("plain", "how it looks: hilserl_sim.appearance says", choices=SCENES)
    lockstep: bool = parameter(True, "wait for each command, instead of following the wall clock")
    cameras: tuple[str, ...] = parameter((), f"cameras to publish, of: {', '.join(CAMERAS)}")
    image_size: int = parameter(128, "height and width of images, pixels", low=16, high=640)
    joint_rate: float = parameter(100.0, "joint states in real time, Hz", low=10.0, high=100.0)
    camera_rate: float = parameter(30.0, "images in real time, Hz", low=1.0, high=60.0)
    reward_topic: str = parameter(
        "reward",
        "where the simulator's judgement goes: to reward, or aside, where another judges",
        choices=("reward", "reward/truth"),
    )
    demonstration_region: str = parameter(
        "left", "half of the patch where objects lie while demonstrating", choices=REGIONS
    )


class MujocoNode(Node):
    """Robot, cameras, judge and scene of a simulated run."""

    def __init__(self) -> None:
        super().__init__("mujoco_node")
        self.parameters = declare(self, MujocoParameters)
        p = self.parameters
        self._world = World(p.task, (p.image_size, p.image_size), p.scene, MODELS[p.arm])
        self._time = SimTime()
        self._demonstrating = False
        self._waiting = False
        self._command = self._world.start.copy()
        self._make_messages()
        self._make_publishers()
        self._make_inputs()
        Diagnostics(self, "simulation", self._health)
        mode = "in lockstep" if self.parameters.lockstep else "in real time"
        self.get_logger().info(f"simulating {self.parameters.task} {mode}")

    def _make_messages(self) -> None:
        """Messages are made once and filled anew: a frame costs its numbers alone."""
        names = list(JOINT_NAMES)
        self._joints = JointState(name=names)
        self._servos = ServoState(
            name=names,
            voltage=array("d", [joint.voltage for joint in self._world.arm.joints]),
            temperature=array("d", [30.0] * 6),
            hardware_error=array("B", bytes(6)),
        )
        self._clock_message = ClockMsg()

    def _make_publishers(self) -> None:
        self._joint_states = self.create_publisher(JointState, "joint_states", qos.SIMULATED)
        self._servo_states = self.create_publisher(ServoState, "servo_states", qos.SIMULATED)
        p = self.parameters
        self._scene = SceneTopics(self, self._world, p.cameras, p.reward_topic)
        if self.parameters.lockstep:
            self._clock_topic = self.create_publisher(ClockMsg, "/clock", qos.SENSOR)

    def _make_inputs(self) -> None:
        topic = "forward_position_controller/commands"
        self.create_subscription(Float64MultiArray, topic, self._on_command, qos.COMMAND)
        self.create_subscription(RunStatus, "run/status", self._on_status, qos.LATCHED)
        self.create_service(Reset, "robot/reset", self._on_reset)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if self.parameters.lockstep:
            self._first_frame = self.create_timer(ANSWER_FIRST, self._on_first_frame, clock=steady)
            self._first_frame.cancel()
            self._published_at = time.monotonic()
            self.create_timer(REPEAT / 2, self._repeat, clock=steady)
            return
        self._last_image = 0.0
        self._last_wall = time.monotonic()
        self.create_subscription(Observation, "observation", self._on_observation, qos.RELIABLE)
        self.create_timer(1.0 / self.parameters.joint_rate, self._on_wall_timer, clock=steady)

    # Inputs.

    def _on_status(self, message: RunStatus) -> None:
        self._demonstrating = message.phase == int(Phase.RECORD)
        self._time.saw(stamp_to_ns(message.header.stamp))

    def _on_reset(self, request: Reset.Request, response: Reset.Response) -> Reset.Response:
        demonstrating = self._demonstrating
        region = self.parameters.demonstration_region if demonstrating else "whole"
        self._world.reset(request.seed, region)
        self._command = self._world.start.copy()
        if self.parameters.lockstep:
            self._time.begin()
        else:
            self._time.stamp = time.time_ns()
        response.success = True
        response.stamp = ns_to_stamp(self._time.stamp)
        response.command = doubles(self._command)
        if self.parameters.lockstep:
            self._waiting = False
            self._first_frame.reset()
        return response

    def _on_command(self, message: Float64MultiArray) -> None:
        if len(message.data) != len(JOINT_NAMES):
            self.get_logger().warning(
                f"a command of {len(message.data)} joints is ignored: send {len(JOINT_NAMES)}",
                throttle_duration_sec=5.0,
            )
            return
        if not self.parameters.lockstep:
            self._command[:] = message.data
        elif self._waiting:
            self._waiting = False
            self._simulate(message.data, CONTROL_PERIOD)
            self._time.tick()
            self._publish_frame()

    def _on_first_frame(self) -> None:
        self._first_frame.cancel()
        self._publish_frame()

    def _repeat(self) -> None:
        """Sends the frame's measurements again when nobody answers."""
        if self._waiting and time.monotonic() - self._published_at > REPEAT:
            self._published_at = time.monotonic()
            self._publish_state()

    def _on_wall_timer(self) -> None:
        """Catches up with the wall clock, by a few periods at most."""
        now = time.monotonic()
        behind = min(now - self._last_wall, 0.05)
        periods = int(behind / RAMP_PERIOD)
        if not periods:
            return
        self._last_wall = now - (behind - periods * RAMP_PERIOD)
        self._simulate(self._command, periods * RAMP_PERIOD)
        self._time.stamp = max(time.time_ns(), self._time.stamp + 1)
        self._publish_state()
        if now - self._last_image >= 1.0 / self.parameters.camera_rate:
            # Keeps the mean rate although the timer's period does not divide the camera's.
            self._last_image = max(self._last_image + 1.0 / self.parameters.camera_rate, now - 0.1)
            self._scene.publish_images(self._time.stamp)

    def _on_observation(self, message: Observation) -> None:
        self._scene.publish_reward(stamp_to_ns(message.header.stamp))

    # Outputs.

    def _simulate(self, command: array[float] | NDArray, seconds: float) -> None:
        try:
            self._world.step(command, seconds)
        except SimulationError as error:
            raise UserError(str(error)) from None

    def _publish_frame(self) -> None:
        """Everything that is measured at one stamp; in lockstep its command is then awaited."""
        self._waiting = True
        self._published_at = time.monotonic()
        stamp = ns_to_stamp(self._time.stamp)
        self._clock_message.clock = stamp
        self._clock_topic.publish(self._clock_message)
        self._publish_state()
        self._scene.publish_images(self._time.stamp)
        self._scene.publish_reward(self._time.stamp)

    def _publish_state(self) -> None:
        stamp, world = ns_to_stamp(self._time.stamp), self._world
        joints, servos = self._joints, self._servos
        joints.header.stamp = servos.header.stamp = stamp
        joints.position = servos.position = doubles(world.joint_position)
        joints.velocity = servos.velocity = doubles(world.joint_velocity)
        servos.current = doubles(world.motor_current)
        self._joint_states.publish(joints)
        self._servo_states.publish(servos)
        self._scene.publish_objects(self._time.stamp)

    def _health(self) -> Health:
        message = "waiting for a command" if self._waiting else "moving"
        return Health(message if self._time.stamp else "waiting for the first reset")

    def close(self) -> None:
        """Frees the renderer."""
        self._world.close()


def main() -> None:
    run_node(MujocoNode, MujocoParameters)


if __name__ == "__main__":
    main()
