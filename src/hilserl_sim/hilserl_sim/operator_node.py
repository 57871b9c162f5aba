"""The scripted person as a node: a virtual leader arm in front of the mux.

It sees what a person would see and acts only through the topics of a teleoperation
device. In lockstep it answers every frame, and every answer is a function of messages
with known stamps, so that arrival order cannot change a run.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState

from hilserl_core import qos
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.messages import floats
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Event, Outcome, Phase, Source
from hilserl_description.arm_model import CONTROL_PERIOD, GRIPPER, JOINT_NAMES, action_spec
from hilserl_description.kinematics import ForwardKinematics
from hilserl_description.models import MODELS
from hilserl_description.scenes import TASKS
from hilserl_description.tool_motion import ToolMotion
from hilserl_msgs.msg import Action, Arbitration, OperatorEvent, RunStatus
from hilserl_sim.hand import DEMONSTRATING, SKILLED, Sight, Style
from hilserl_sim.operator import WORDS, Habits, ScriptedOperator
from hilserl_sim.tasks import WITH_PEG, Peg

_TICK = round(CONTROL_PERIOD * 1e9)
_PATIENCE_FOR_STATUS = 2.0  # s of wall-clock that a first frame waits for its run status
_MATCHING = 0.5  # s of wall-clock from here knowing the mux to the mux knowing us
_REPEAT = 1.0  # s of wall-clock without a next frame after which an answer is sent again


@dataclass(frozen=True)
class OperatorParameters:
    """Parameters of ``operator_node``."""

    arm: str = parameter("koch", "which arm it is", choices=tuple(MODELS))
    task: str = parameter("lift_cube", "what is to be done", choices=TASKS)
    action_space: str = parameter(
        "ee_delta", "what actions mean", choices=("ee_delta", "joint_delta")
    )
    lockstep: bool = parameter(True, "answer every frame of a simulator that waits for it")
    seed: int = parameter(0, "of everything random about the person", low=0)
    device: str = parameter("leader", "name of the virtual device: its topics are teleop/DEVICE/*")
    intervene: bool = parameter(True, "help in training; demonstrations are given in any case")
    patience: float = parameter(
        Habits.patience, "s without progress before help", low=0.1, high=60.0
    )
    reaction: float = parameter(Habits.reaction, "s from there to the key", low=0.0, high=5.0)
    hesitation: float = parameter(
        Habits.hesitation, "s, mean of a random delay on top", low=0.0, high=5.0
    )
    progress: float = parameter(
        Habits.progress, "m nearer or higher that count as progress", low=0.001, high=0.1
    )
    release_when: str = parameter(Habits.release, "when help ends", choices=("grasped", "done"))
    words: str = parameter(
        Habits.words, "when the person says that the task is done", choices=WORDS
    )
    overrule: bool = parameter(
        False, "say failure where a training episode was judged a success and was none"
    )
    failures: float = parameter(
        Habits.failures,
        "share of demonstrations spoiled on purpose, to show what is no success",
        low=0.0,
        high=0.95,
    )
    help_speed: float = parameter(
        SKILLED.speed, "speed of help, as a share of the fastest", low=0.1, high=1.0
    )
    help_noise: float = parameter(
        SKILLED.noise, "wander of the hand in help, action units", low=0.0, high=1.0
    )
    speed: float = parameter(
        DEMONSTRATING.speed, "speed of demonstrations, as a share", low=0.1, high=1.0
    )
    care: float = parameter(DEMONSTRATING.care, "factor on it near the object", low=0.1, high=1.0)
    detours: float = parameter(
        DEMONSTRATING.detours, "mean number of needless waypoints", low=0.0, high=10.0
    )
    pauses: float = parameter(DEMONSTRATING.pauses, "mean number of pauses", low=0.0, high=4.0)
    pause: float = parameter(DEMONSTRATING.pause, "s, mean length of one", low=0.0, high=3.0)
    miss: float = parameter(
        DEMONSTRATING.miss, "probability of a missed first grasp", low=0.0, high=1.0
    )
    noise: float = parameter(
        DEMONSTRATING.noise, "wander of the hand in demonstrations, action units", low=0.0, high=1.0
    )


def make_operator(p: OperatorParameters) -> ScriptedOperator:
    """The person whom the parameters describe, who thinks of where the tool goes."""
    demonstrating = Style(
        speed=p.speed,
        care=p.care,
        detours=p.detours,
        detour_size=DEMONSTRATING.detour_size,
        pauses=p.pauses,
        pause=p.pause,
        miss=p.miss,
        noise=p.noise,
        aim=DEMONSTRATING.aim,
    )
    helping = Style(speed=p.help_speed, noise=p.help_noise)
    habits = Habits(
        p.patience,
        p.reaction,
        p.hesitation,
        p.progress,
        p.release_when,
        p.words,
        p.failures,
    )
    return ScriptedOperator(
        p.task, action_spec(), p.seed, demonstrating, helping, habits, p.intervene
    )


class OperatorNode(Node):
    """Eyes and hands of the scripted person."""

    def __init__(self) -> None:
        super().__init__("operator_node")
        self.parameters = declare(self, OperatorParameters)
        self._operator = make_operator(self.parameters)
        self._arm = MODELS[self.parameters.arm]
        spec = action_spec(self.parameters.action_space)
        self._motion = ToolMotion(spec, self._arm)
        self._rest = np.zeros(spec.dim, np.float32)
        self._forward = ForwardKinematics(self._arm)
        self._has_peg = self.parameters.task in WITH_PEG
        self._status: RunStatus | None = None
        self._status_is_new = False
        self._status_stamp = 0
        self._matched_since: float | None = None
        self._episode: tuple[int, int] | None = None
        self._joints: tuple[int, array[float]] | None = None
        self._object: tuple[int, np.ndarray] | None = None
        self._peg: tuple[int, Peg | None] = (0, None)
        self._action: tuple[int, bool, np.ndarray] | None = None
        self._arbitration = Arbitration()
        self._frame = 0  # stamp of the newest frame answered
        self._answered_at = time.monotonic()
        self._waiting_since: float | None = None
        device = self.parameters.device
        self._answer = Action(source=int(Source.HUMAN))
        self._event = OperatorEvent(device=device)
        self._leader = JointState(name=list(JOINT_NAMES))
        self._actions = self.create_publisher(Action, f"teleop/{device}/action", qos.RELIABLE)
        self._events = self.create_publisher(OperatorEvent, f"teleop/{device}/event", qos.RELIABLE)
        topic = f"teleop/{device}/joint_states"
        self._leader_states = self.create_publisher(JointState, topic, qos.SENSOR)
        self.create_subscription(RunStatus, "run/status", self._on_status, qos.LATCHED)
        self.create_subscription(Action, "action", self._on_action, qos.RELIABLE)
        if not self.parameters.lockstep:
            self.create_subscription(Arbitration, "arbitration", self._on_arbitration, qos.LATCHED)
        measured = qos.measurements(self.parameters.lockstep)
        self.create_subscription(PoseStamped, "sim/object_pose", self._on_object, measured)
        if self._has_peg:
            self.create_subscription(PoseStamped, "sim/peg_pose", self._on_peg, measured)
        self.create_subscription(JointState, "joint_states", self._on_joints, measured)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.1, self._on_timer, clock=steady)
        Diagnostics(self, "scripted person", self._health)

    def _health(self) -> Health:
        driving = self._action is not None and self._action[1]
        return Health("driving" if driving else "watching")

    # What is seen; every message may be the one that completes the picture.

    def _on_joints(self, message: JointState) -> None:
        self._joints = (stamp_to_ns(message.header.stamp), message.position)
        self._try_tick()

    def _on_object(self, message: PoseStamped) -> None:
        place = message.pose.position
        self._object = (
            stamp_to_ns(message.header.stamp),
            np.array((place.x, place.y, place.z)),
        )
        self._try_tick()

    def _on_peg(self, message: PoseStamped) -> None:
        place, turn = message.pose.position, message.pose.orientation
        tip, quaternion = (place.x, place.y, place.z), (turn.w, turn.x, turn.y, turn.z)
        peg = Peg(np.array(tip), np.array(quaternion))
        self._peg = (stamp_to_ns(message.header.stamp), peg)
        self._try_tick()

    def _on_action(self, message: Action) -> None:
        self._action = (
            stamp_to_ns(message.header.stamp),
            message.source == int(Source.HUMAN),
            np.array(message.command),
        )
        self._try_tick()

    def _on_arbitration(self, message: Arbitration) -> None:
        self._arbitration = message

    def _on_status(self, message: RunStatus) -> None:
        if message.phase > max(Phase):
            return
        self._status, self._status_is_new = message, True
        self._status_stamp = stamp_to_ns(message.header.stamp)
        self._try_tick()
        if self.parameters.overrule and not message.in_episode:
            self._look_back(message)

    def _look_back(self, status: RunStatus) -> None:
        """Says so where the episode that has ended was judged a success and was none."""
        ended = (int(Phase.TRAIN), status.episode - 1)
        judged = status.last_outcome == int(Outcome.SUCCESS)
        if judged and self._episode == ended and self._operator.overrules():
            self._say(Event.FAILURE)

    def _on_timer(self) -> None:
        self._is_matched()
        self._try_tick()
        if self.parameters.lockstep and time.monotonic() - self._answered_at > _REPEAT:
            # A mux that (re)started a moment ago may not have heard it.
            self._answered_at = time.monotonic()
            if self._frame:
                self._actions.publish(self._answer)

    # When to answer.

    def _try_tick(self) -> None:
        """Answers the newest frame as soon as everything that it depends on is known."""
        if self._joints is None or self._object is None:
            return
        if self._has_peg and self._peg[1] is None:
            return
        stamp = self._joints[0]
        if self.parameters.lockstep:
            same = self._object[0] == stamp and (not self._has_peg or self._peg[0] == stamp)
            ready = stamp > self._frame and same and self._is_placed(stamp)
        else:
            ready = stamp >= self._frame + 0.95 * _TICK
        if ready:
            self._waiting_since = None
            self._tick(stamp)

    def _is_placed(self, stamp: int) -> bool:
        """Whether the frame's place in the run is known: its past action, or its episode."""
        if stamp - self._frame == _TICK:
            return self._action is not None and self._action[0] == self._frame
        if not self._is_matched():
            return False
        status = self._status
        # An episode's status is no older than the last frame of the one before, and where
        # that frame reached nobody else, it came after our answer; a restarted node, which
        # has seen no frame, joins the episode under way.
        begun = status is not None and status.in_episode
        if begun and (self._status_is_new or self._status_stamp >= self._frame):
            return True
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since > _PATIENCE_FOR_STATUS

    def _is_matched(self) -> bool:
        """Whether the mux is there and has had time to find out about this node."""
        now = time.monotonic()
        if not (self._actions.get_subscription_count() and self._events.get_subscription_count()):
            self._matched_since = None
        elif self._matched_since is None:
            self._matched_since = now
        return self._matched_since is not None and now - self._matched_since > _MATCHING

    def _is_under_way(self) -> bool:
        """Whether the episode of the newest status has begun: the arm is home, and acts."""
        status, action = self._status, self._action
        if self.parameters.lockstep:
            return True
        if status is None or action is None:
            return False
        return status.in_episode and action[0] > self._status_stamp

    def _may_move(self) -> bool:
        """Whether what the hand does now is executed."""
        if self.parameters.lockstep:
            return True
        mine = self._arbitration.device == self.parameters.device
        return mine and self._arbitration.state == Arbitration.HUMAN

    def _tick(self, stamp: int) -> None:
        assert self._joints is not None
        if not self._is_under_way():
            self._frame = stamp
            self._publish(self._rest, None)
            return
        assert self._object is not None
        position = np.array(self._joints[1])
        continues = stamp - self._frame == _TICK or not self.parameters.lockstep
        self._frame = stamp
        self._status_is_new = False
        status = self._status
        episode = (status.phase, status.episode) if status is not None else None
        if episode is not None and (episode != self._episode or not continues):
            self._operator.begin(Phase(episode[0]), episode[1])
        self._episode = episode
        command, driving = position, False
        if self._action is not None:
            driving = self._action[1]
            if continues and len(self._action[2]) == len(position):
                command = self._action[2]
        sight = Sight(
            joint_position=position,
            tool_position=self._forward.position(position),
            target_position=self._forward.position(command),
            gripper_command=float(command[GRIPPER]),
            object_position=self._object[1],
            peg=self._peg[1],
            arm=self._arm,
        )
        decision = self._operator.tick(sight, driving, self._may_move())
        self._publish(self._motion.values(decision.values, command), decision.event)

    def _say(self, event: Event) -> None:
        """Presses a key, about the newest frame."""
        sec, nanosec = divmod(self._frame, 1_000_000_000)
        self._event.header.stamp.sec, self._event.header.stamp.nanosec = sec, nanosec
        self._event.event = int(event)
        self._events.publish(self._event)

    def _publish(self, values: np.ndarray, event: Event | None) -> None:
        assert self._joints is not None
        sec, nanosec = divmod(self._frame, 1_000_000_000)
        if event is not None:
            self._say(event)
        self._answer.header.stamp.sec, self._answer.header.stamp.nanosec = sec, nanosec
        self._answer.values = floats(values)
        # The leader follows the follower, so that it can go limp at its pose; told before
        # the action, for the mux compares the two when it hands the arm over.
        self._leader.header.stamp = self._answer.header.stamp
        self._leader.position = self._joints[1]
        self._leader_states.publish(self._leader)
        self._actions.publish(self._answer)
        self._answered_at = time.monotonic()


def main() -> None:
    run_node(OperatorNode, OperatorParameters)


if __name__ == "__main__":
    main()
