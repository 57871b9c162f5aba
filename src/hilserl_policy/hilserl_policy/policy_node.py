"""The policy node: assembles observations, acts, and runs the episodes of a run."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.service_introspection import ServiceIntrospectionState
from rclpy.task import Future

from hilserl_core import node as node_main
from hilserl_core import qos
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.episode_loop import EpisodeLoop, Executed
from hilserl_core.errors import UserError
from hilserl_core.messages import action_to_msg, float32, observation_to_msg, step_to_msg
from hilserl_core.ros_parameters import declare
from hilserl_core.run import write_aside
from hilserl_core.stamps import ns_to_stamp, stamp_to_ns
from hilserl_core.step import Event, Observation, Outcome, Phase, Source, Step
from hilserl_description.robot import ObservationReader, robot_of
from hilserl_msgs.msg import Action, Arbitration, OperatorEvent, Reward, RunStatus, Weights
from hilserl_msgs.msg import Observation as ObservationMsg
from hilserl_msgs.msg import Step as StepMsg
from hilserl_msgs.srv import Reset
from hilserl_policy.actor import EVALUATED, Actor
from hilserl_policy.parameters import PolicyParameters, sampled_phases
from hilserl_policy.progress import RunProgress
from hilserl_policy.punctuality import Punctuality
from hilserl_policy.run_status import run_status
from hilserl_policy.schedule import EpisodeSummary
from hilserl_policy.sensors import Sensors
from hilserl_policy.stall import Stall

HOUSEKEEPING = 0.1
"""s of wall-clock time between two looks at what is due."""

SETTLE = 0.5
"""s of wall-clock time between the discovery of every topic and the first reset."""

RETRY = 0.5
"""s of wall-clock time between a reset that failed and the next."""


class PolicyNode(Node):
    """Ticks at the simulator's frames (lockstep) or by a timer, and emits steps."""

    def __init__(self) -> None:
        super().__init__("policy_node")
        self.parameters = declare(self, PolicyParameters)
        p = self.parameters
        if not p.run:
            raise UserError("policy_node: parameter 'run' is empty: give the run's folder")
        robot = robot_of(p)
        self._actor = Actor(robot.observation, robot.action, p.seed, sampled_phases(p))
        self._progress = RunProgress(p)
        self._schedule = self._progress.schedule
        if p.mode == "run" and p.policy:
            self._actor.load_run(Path(p.policy))
        self._loop: EpisodeLoop | None = None
        self._episode = (self._schedule.phase, 0)
        self._pending_action: tuple[int, np.ndarray] | None = None
        self._early_reward = (-1, 0.0)
        self._command = robot.home
        self._first_stamp = 0
        self._resetting: Future | None = None
        self._not_before = 0.0
        self._stall = Stall(p.stall_seconds)
        self._reset_at = self._waited = time.monotonic()
        self._tick_times: deque[float] = deque(maxlen=100)
        self._punctuality = Punctuality(1 / p.control_rate)
        self._stopped = self._learner_gone = False
        self._settled_at = float("inf")
        self._message = ""
        self._done = False
        self._connect(robot.reader())

    # -- start

    def _connect(self, reader: ObservationReader) -> None:
        publish, subscribe = self.create_publisher, self.create_subscription
        self._observations = publish(ObservationMsg, "observation", qos.RELIABLE)
        self._actions = publish(Action, "policy_action", qos.RELIABLE)
        self._steps = publish(StepMsg, "steps", qos.STEPS)
        self._status = publish(RunStatus, "run/status", qos.LATCHED)
        self._sensors = Sensors(self, reader, self._on_frame, self.parameters.lockstep)
        self._frames = self._sensors.frames
        subscribe(Reward, "reward", self._on_reward, qos.RELIABLE)
        subscribe(Action, "action", self._on_action, qos.RELIABLE)
        subscribe(Arbitration, "arbitration", self._on_arbitration, qos.LATCHED)
        subscribe(
            Weights,
            "weights",
            self._on_weights,
            qos.WEIGHTS,
            event_callbacks=SubscriptionEventCallbacks(liveliness=self._on_learner),
        )
        for device in self.parameters.devices:
            subscribe(OperatorEvent, f"teleop/{device}/event", self._on_event, qos.RELIABLE)
        self._reset_client = self.create_client(Reset, "reset")
        # Where an episode began, and with which command, is on no other topic: who records the
        # raw topics needs it.
        self._reset_client.configure_introspection(
            self.get_clock(), qos.RELIABLE, ServiceIntrospectionState.CONTENTS
        )
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(HOUSEKEEPING, self._housekeeping, clock=wall)
        Diagnostics(self, "episodes", self._health)
        if not self.parameters.lockstep:
            period = 1 / self.parameters.control_rate
            self._ticker = self.create_timer(period, self._timer_tick, clock=wall)

    # -- what arrives

    def _on_frame(self, stamp: int) -> None:
        if self.parameters.lockstep:
            self._tick(stamp)

    def _on_reward(self, message: Reward) -> None:
        stamp = stamp_to_ns(message.header.stamp)
        if self._loop is None or self._loop.newest < stamp:
            # The simulator's own judgement comes with its frame, maybe before the rest.
            self._early_reward = (stamp, message.value)
        else:
            self._judged(stamp, message.value)

    def _on_action(self, message: Action) -> None:
        known = message.source <= max(Source) and len(message.command) == len(self._command)
        if self._loop is None or not known:  # Not from a mux of this arm.
            return
        stamp = stamp_to_ns(message.header.stamp)
        self._command = np.array(message.command)
        executed = Executed(float32(message.values), Source(message.source))
        self._emit(self._loop.executed(stamp, executed))
        if self.parameters.lockstep and self._frames.complete(self._frames.newest):
            self._tick(self._frames.newest)

    def _on_event(self, message: OperatorEvent) -> None:
        stamp = stamp_to_ns(message.header.stamp)
        known = message.event <= max(Event)
        if known and self._loop is not None and stamp >= self._first_stamp:  # not of one before
            self._loop.event(stamp, Event(message.event))

    def _on_arbitration(self, message: Arbitration) -> None:
        self._stopped = message.state == Arbitration.STOPPED
        if self._stopped and self._loop is not None:
            self._abort("the operator stopped the arm")

    def _on_weights(self, message: Weights) -> None:
        try:
            self._actor.load(bytes(message.data), message.sha256)
        except UserError as error:
            self.get_logger().error(f"weights {message.version} refused, the old ones act: {error}")

    def _on_learner(self, change: Any) -> None:
        """Follows whether the learner's process lives; training without one is not worth it.

        In lockstep no arm moves in real time, and the next episode can wait for it.
        """
        self._learner_gone = change.alive_count == 0
        trains = self.parameters.mode == "train" and self._episode[0] != Phase.RECORD
        if self._learner_gone and trains and self._loop and not self.parameters.lockstep:
            self._abort("the learner has gone")

    # -- ticks

    def _timer_tick(self) -> None:
        """A tick on a robot: the newest measurements, if they are fresh."""
        loop = self._loop
        if loop is None:
            self._punctuality.pause()
            return
        self._punctuality.tick(time.monotonic(), self._ticker.time_until_next_call() / 1e9)
        late = self._frames.late(int(self.parameters.max_age * 1e9))
        before = loop.newest
        if not late and self._frames.newest >= self._first_stamp:
            self._tick(self._frames.newest)
        if loop.newest == before >= 0:
            self._punctuality.nothing_new()

    def _tick(self, stamp: int) -> None:
        """Makes the observation of ``stamp``, acts on it and has it judged."""
        loop = self._loop
        if loop is None or stamp < self._first_stamp or stamp <= loop.newest:
            return
        if self.parameters.lockstep and loop.waiting:
            return  # The last action's answer tells the command that this observation holds.
        try:
            observation = self._sensors.observation(stamp, self._command)
            proposal = self._actor.act(observation)
        except UserError as error:
            self._abort(str(error))
            return
        now = time.monotonic()
        self._stall.ticked(now)
        self._tick_times.append(now)
        loop.observe(observation, proposal)
        self._observations.publish(observation_to_msg(observation))
        self._pending_action = (stamp, proposal.values)
        if not self.parameters.lockstep:
            self._act()
        if self._early_reward[0] == stamp:
            self._judged(*self._early_reward)

    def _judged(self, stamp: int, reward: float) -> None:
        assert self._loop is not None
        self._stall.judged(time.monotonic())
        self._emit(self._loop.judged(stamp, reward))
        if self._loop is not None and self._pending_action and self._pending_action[0] == stamp:
            self._act()

    def _act(self) -> None:
        """Sends the pending proposal to the mux."""
        assert self._pending_action is not None
        stamp, values = self._pending_action
        self._pending_action = None
        self._actions.publish(action_to_msg(stamp, values, Source.POLICY, self._actor.version))

    def _emit(self, steps: list[Step]) -> None:
        for step in steps:
            self._steps.publish(step_to_msg(step))
        if self._loop is not None and self._loop.outcome != Outcome.NONE:
            self._end_episode()

    # -- episodes

    def _housekeeping(self) -> None:
        """Starts what is due, and gives up what has stalled."""
        now = time.monotonic()
        if self._done:
            return
        if self._loop is not None:
            late = self._frames.late(int(self.parameters.max_age * 1e9))
            if stalled := self._stall.reason(now, late):
                self._abort(stalled)
            elif self._steps.get_subscription_count() == 0 and not self._recorded():
                self._abort("the recorder has gone")
        elif self._resetting is not None:
            if now - self._reset_at > self.parameters.reset_seconds:
                self._retry("reset was not answered")
        elif now >= self._not_before:
            self._next_episode(now)

    def _next_episode(self, now: float) -> None:
        """Asks for a reset if the next episode may begin; else says what it waits for."""
        phase = self._schedule.phase
        if phase == Phase.DONE:
            self._complete()
            return
        waiting = self._waits_for(phase, now)
        if waiting:
            if waiting != self._message:
                self._publish_status(False, waiting)
            return
        self._schedule.waited(now - self._waited)
        self._reset(phase)

    def _waits_for(self, phase: Phase, now: float) -> str:
        """Why the next episode may not begin yet; empty where it may."""
        if self._stopped:
            return "stopped: release the stop to go on"
        if phase != Phase.RECORD and not self._actor.ready:
            return "waiting for the learner's first policy"
        if phase == Phase.TRAIN and self._learner_gone:
            return "waiting for the learner, which has gone"
        if not self._reset_client.service_is_ready():
            return "waiting for the mux"
        if not self._recorded():
            return "waiting for the recorder"
        if self._settled_at == float("inf"):
            for topic in (*self._sensors.topics, "reward", "action"):
                if not self.count_publishers(topic):
                    return f"waiting for topic {topic}"
            # A publisher that is seen here may not have seen this subscriber yet.
            self._settled_at = now + SETTLE
        return "" if now >= self._settled_at else "waiting for all nodes to have met"

    def _recorded(self) -> bool:
        """Whether a recorder takes the steps: none may be earned that no bag will hold."""
        recorder = self.parameters.recorder
        subscribers = self.get_subscriptions_info_by_topic("steps") if recorder else []
        return not recorder or any(info.node_name == recorder for info in subscribers)

    def _reset(self, phase: Phase) -> None:
        evaluation = phase == Phase.EVALUATE
        number = self._progress.number(phase)
        if phase != self._episode[0]:
            self._punctuality.restart()
        self._episode = (phase, number)
        self._actor.begin(phase, number)
        self._publish_status(True)
        seed = (self.parameters.seed << 32) | (int(evaluation) << 31) | number
        self._reset_at = time.monotonic()
        self._resetting = self._reset_client.call_async(Reset.Request(seed=seed))
        self._resetting.add_done_callback(self._on_reset)

    def _on_reset(self, future: Future) -> None:
        if self._resetting is None or future is not self._resetting:
            return  # Answered after it was given up.
        answer = future.result()
        if answer is None or not answer.success:
            self._retry(f"reset failed: {answer.message if answer else 'no answer'}")
            return
        self._resetting = None
        phase, number = self._episode
        header = Step(
            observation=Observation(0, np.zeros(0, np.float32)),
            run=self._progress.directory.path.name,
            phase=phase,
            episode=number,
            spec=self._actor.spec,
        )
        self._loop = EpisodeLoop(header, max_steps=self.parameters.episode_steps(phase))
        self._command = np.array(answer.command)
        self._first_stamp = stamp_to_ns(answer.stamp)
        self._stall.begin(time.monotonic())
        if self.parameters.lockstep and self._frames.complete(self._first_stamp):
            self._tick(self._first_stamp)

    def _retry(self, reason: str) -> None:
        if reason != self._message:
            self.get_logger().info(f"{reason}; trying again")
            self._publish_status(False, reason)
        self._resetting = None
        self._not_before = time.monotonic() + RETRY

    def _abort(self, reason: str) -> None:
        """Gives the episode up; what was complete is kept."""
        assert self._loop is not None
        self.get_logger().warning(f"episode {self._loop.header.episode} given up: {reason}")
        steps = self._loop.abort()
        self._loop.outcome = Outcome.ABORTED
        self._emit(steps)

    def _end_episode(self) -> None:
        """Writes the episode down and moves the schedule on."""
        assert self._loop is not None
        loop, self._loop, self._pending_action = self._loop, None, None
        now = time.monotonic()
        summary = EpisodeSummary.of(
            loop,
            self.parameters.control_rate,
            wall=now - self._reset_at,
            policy_version=self._actor.version,
            weights_age=self._actor.mean_age,
            lateness=self._punctuality.take_worst(),
        )
        self._waited = now
        self._progress.ended(summary, began=loop.newest >= 0 or loop.steps > 0)
        self._publish_status(False)
        self._next_episode(now)

    def _complete(self) -> None:
        """The run is over: leaves the policy that was evaluated, then ends this process."""
        if self._actor.data and self.parameters.mode == "train":
            write_aside(self._progress.directory.checkpoints / EVALUATED, self._actor.data)
        self._publish_status(False, "done")
        self._done = True
        node_main.finish(self)

    def _health(self) -> Health:
        schedule = self._schedule
        message = self._message or f"{schedule.phase.name.lower()}, episode {self._episode[1]}"
        values = {
            "phase": schedule.phase.name.lower(),
            "steps": schedule.steps,
            "aborted episodes": schedule.aborted,
            "policy version": self._actor.version,
            **self._punctuality.values(),
        }
        return Health(message, warning=bool(self._message) and self._stopped, values=values)

    def _pace(self) -> float:
        """Ticks a second of late."""
        spent = self._tick_times
        return (len(spent) - 1) / (spent[-1] - spent[0]) if len(spent) > 1 else 0.0

    def _publish_status(self, in_episode: bool, message: str = "") -> None:
        self._message = message
        status = run_status(self._progress, in_episode, message)
        status.task = self.parameters.task
        status.policy_version = self._actor.version
        status.steps_per_s = self._pace()
        status.header.stamp = ns_to_stamp(max(self._frames.newest, 0))
        self._status.publish(status)


def main() -> None:
    node_main.main(PolicyNode, PolicyParameters)
