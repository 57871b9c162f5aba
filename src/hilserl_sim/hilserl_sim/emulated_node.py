"""An arm that is not there, behind a serial port that is: emulated servos turn the joints of a
MuJoCo scene, in real time.

The driver finds the arm at the port, as it would find one of metal; positions and commands go
through the port alone. This node serves what stands around an arm: cameras, the judge, and
the person who puts things back for the next episode.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hilserl_core import qos
from hilserl_core.deferred import Answer, DeferredService
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.lifecycle import BringUp
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import ns_to_stamp, stamp_to_ns
from hilserl_core.step import Phase
from hilserl_description.models import MODELS
from hilserl_description.scenes import CAMERAS, SCENES, TASKS
from hilserl_drivers.arms import ARMS
from hilserl_drivers.emulator.arm import EmulatedArm
from hilserl_drivers.emulator.wires import PtyBus
from hilserl_msgs.msg import Observation, RunStatus
from hilserl_msgs.srv import Reset
from hilserl_sim.scene_topics import SceneTopics
from hilserl_sim.world import REGIONS, World
from hilserl_sim.world_plant import WorldPlant


@dataclass(frozen=True)
class EmulatedParameters:
    """Parameters of ``emulated_node``."""

    arm: str = parameter("koch", "which arm it is", choices=tuple(MODELS))
    port: str = parameter("/tmp/arm", "where the arm's serial port is to appear")
    calibration: str = parameter("/tmp/arm.yaml", "file that the arm's calibration is written to")
    driver: str = parameter("driver_node", "the node that drives it, which is brought up")
    task: str = parameter("lift_cube", "what the scene is for", choices=TASKS)
    scene: str = parameter("plain", "how it looks: hilserl_sim.appearance says", choices=SCENES)
    cameras: tuple[str, ...] = parameter((), f"cameras to publish, of: {', '.join(CAMERAS)}")
    image_size: int = parameter(128, "height and width of images, pixels", low=16, high=640)
    object_rate: float = parameter(100.0, "poses of objects, Hz", low=10.0, high=200.0)
    camera_rate: float = parameter(30.0, "images, Hz", low=1.0, high=60.0)
    demonstration_region: str = parameter(
        "left", "half of the patch where objects lie while demonstrating", choices=REGIONS
    )
    reward_topic: str = parameter(
        "reward",
        "where the simulator's judgement goes: to reward, or aside, where another judges",
        choices=("reward", "reward/truth"),
    )
    seed: int = parameter(0, "of how the arm was put together", low=0)


class EmulatedNode(Node):
    """The scene around an emulated arm, and the port to it."""

    def __init__(self) -> None:
        super().__init__("emulated_node")
        p = self.parameters = declare(self, EmulatedParameters)
        self._world = World(p.task, (p.image_size, p.image_size), p.scene, MODELS[p.arm])
        if self._world.peg is not None:
            raise UserError(
                f"parameter 'task': {p.task} begins with the peg in the hand, and an arm that is "
                "driven home through its port comes with an empty one: choose another task"
            )
        self._demonstrating = False
        self._pending: tuple[Any, Reset.Request, Answer] | None = None
        self._scene = SceneTopics(self, self._world, p.cameras, p.reward_topic)
        self._plant = WorldPlant(self._world)
        follower = f"{p.arm}_follower"
        arm = EmulatedArm(ARMS[follower], time.monotonic, p.seed, self._plant, timing=True)
        self._lock = arm.bus.lock
        arm.calibration.save(Path(p.calibration))
        try:
            self._port = PtyBus(arm.bus, Path(p.port))
        except OSError as error:
            raise UserError(f"no port can be made at {p.port}: {error.strerror}") from None
        self._connect()
        self.get_logger().info(f"{follower} in the scene of {p.task} at {p.port}")

    def _connect(self) -> None:
        p = self.parameters
        self.create_subscription(RunStatus, "run/status", self._on_status, qos.LATCHED)
        self.create_subscription(Observation, "observation", self._on_observation, qos.RELIABLE)
        self._driver_reset = self.create_client(Reset, f"{p.driver}/reset")
        DeferredService(self, Reset, "robot/reset", self._on_reset)
        self._driver = BringUp(self, p.driver)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1 / p.object_rate, self._on_objects, clock=steady)
        self.create_timer(1 / p.camera_rate, self._on_cameras, clock=steady)
        Diagnostics(self, "emulated arm", self._health)

    # -- what is asked

    def _on_status(self, message: RunStatus) -> None:
        self._demonstrating = message.phase == int(Phase.RECORD)

    def _on_reset(self, request: Reset.Request, answer: Answer) -> None:
        """Has the driver bring the arm home, then puts the object somewhere else."""
        if not (self._driver.active and self._driver_reset.service_is_ready()):
            answer(Reset.Response(success=False, message="the driver is not active yet"))
            return
        if self._pending is not None:
            future, _, previous = self._pending
            self._driver_reset.remove_pending_request(future)
            previous(Reset.Response(success=False, message="another reset was asked for"))
        future = self._driver_reset.call_async(request)
        self._pending = (future, request, answer)
        future.add_done_callback(self._on_home)

    def _on_home(self, future: Any) -> None:
        if self._pending is None or self._pending[0] is not future:
            return
        _, request, answer = self._pending
        self._pending = None
        response: Reset.Response = future.result()
        if response.success:
            region = self.parameters.demonstration_region if self._demonstrating else "whole"
            with self._lock:
                self._world.rearrange(request.seed, region)
            response.stamp = ns_to_stamp(time.time_ns())
        answer(response)

    def _on_observation(self, message: Observation) -> None:
        with self._lock:
            self._scene.publish_reward(stamp_to_ns(message.header.stamp))

    # -- what is seen

    def _on_objects(self) -> None:
        if self._plant.failure:
            raise UserError(self._plant.failure)
        with self._lock:
            self._scene.publish_objects(time.time_ns())

    def _on_cameras(self) -> None:
        self._scene.publish_images(time.time_ns(), self._lock)

    def _health(self) -> Health:
        if self._plant.failure:
            return Health(self._plant.failure, warning=True)
        return Health("driven" if self._driver.active else "waiting for the driver")

    def close(self) -> None:
        """Pulls the plug."""
        self._port.close()
        self._world.close()


def main() -> None:
    """Entry point of the program."""
    run_node(EmulatedNode, EmulatedParameters)


if __name__ == "__main__":
    main()
