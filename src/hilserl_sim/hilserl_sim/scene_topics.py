"""What a simulated scene tells beside the arm: objects, cameras and the judge's word."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import Image

from hilserl_core import qos
from hilserl_core.errors import UserError
from hilserl_core.images import to_image
from hilserl_core.stamps import ns_to_stamp
from hilserl_description.scenes import CAMERAS
from hilserl_msgs.msg import Reward
from hilserl_sim.world import World

Lock = contextlib.AbstractContextManager[object]


def _fill_pose(message: PoseStamped, position: NDArray, quaternion: NDArray) -> None:
    """Writes a position (3,) m and a quaternion (4,) w x y z into a message."""
    place, turn = message.pose.position, message.pose.orientation
    place.x, place.y, place.z = position.tolist()
    turn.w, turn.x, turn.y, turn.z = quaternion.tolist()


class SceneTopics:
    """Publishes a scene; messages are made once and filled anew.

    Args:
        node: that publishes.
        world: the scene.
        cameras: to publish.
        reward_topic: of the judge's word.

    Raises:
        UserError: there is no such camera.
    """

    def __init__(
        self, node: Node, world: World, cameras: Sequence[str], reward_topic: str = "reward"
    ) -> None:
        for camera in cameras:
            if camera not in CAMERAS:
                known = ", ".join(CAMERAS)
                raise UserError(f"parameter 'cameras': '{camera}' is unknown, choose from: {known}")
        self._world = world
        self._pose, self._peg_pose = PoseStamped(), PoseStamped()
        self._pose.header.frame_id = self._peg_pose.header.frame_id = "base_link"
        self._reward = Reward(judge="sim")
        self._object_pose = node.create_publisher(PoseStamped, "sim/object_pose", qos.SIMULATED)
        if world.peg is not None:
            self._peg_poses = node.create_publisher(PoseStamped, "sim/peg_pose", qos.SIMULATED)
        self._rewards = node.create_publisher(Reward, reward_topic, qos.RELIABLE)
        self._images = {
            camera: node.create_publisher(Image, f"camera/{camera}/policy", qos.SIMULATED)
            for camera in cameras
        }

    def publish_objects(self, stamp: int) -> None:
        """Where things are, at ``stamp`` (ns)."""
        world = self._world
        self._pose.header.stamp = ns_to_stamp(stamp)
        _fill_pose(self._pose, world.object_position, world.object_quaternion)
        self._object_pose.publish(self._pose)
        peg = world.peg
        if peg is not None:
            self._peg_pose.header.stamp = self._pose.header.stamp
            _fill_pose(self._peg_pose, peg.tip, peg.quaternion)
            self._peg_poses.publish(self._peg_pose)

    def publish_images(self, stamp: int, lock: Lock | None = None) -> None:
        """What the cameras see; ``lock`` as in ``World.render``."""
        for camera, publisher in self._images.items():
            publisher.publish(to_image(self._world.render(camera, lock), stamp, camera))

    def publish_reward(self, stamp: int) -> None:
        """The judge's word on the observation of ``stamp`` (ns)."""
        self._reward.header.stamp = ns_to_stamp(stamp)
        self._reward.value = self._world.reward
        self._rewards.publish(self._reward)
