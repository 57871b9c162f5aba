"""The mux: the one node that commands the arm, and decides who drives it.

It needs no other node to keep the arm still, or to let a person drive it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from hilserl_core import node as node_main
from hilserl_core.deferred import Answer, DeferredService
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.messages import action_to_msg, doubles
from hilserl_core.parameters import parameter
from hilserl_core.qos import COMMAND, LATCHED, RELIABLE, SENSOR
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import stamp_to_ns
from hilserl_core.step import Event
from hilserl_description.robot import robot_of
from hilserl_description.robot_parameters import ActingParameters
from hilserl_msgs.msg import Action, Arbitration, OperatorEvent
from hilserl_msgs.srv import Reset
from hilserl_teleop.arbitration import Device, State, Status
from hilserl_teleop.mux import Mux, Output

POLLS_PER_PERIOD = 10


@dataclass(frozen=True)
class MuxParameters(ActingParameters):
    """Parameters of the mux."""

    lockstep: bool = parameter(False, "the simulator waits for each command")
    control_rate: float = parameter(10.0, "ticks a second", low=1.0, high=100.0)
    devices: tuple[str, ...] = parameter(
        ("leader", "keyboard", "console"), "devices that may take over, as in teleop/DEVICE/action"
    )
    countdowns: tuple[float, ...] = parameter(
        (2.0,),
        "s between takeover and first motion, of each device in their order, or one for all",
        low=0.0,
        high=60.0,
    )
    lockstep_devices: tuple[str, ...] = parameter(
        ("leader",), "devices whose action each lockstep tick waits for; [''] for none"
    )
    yielding_devices: tuple[str, ...] = parameter(
        ("",),
        "devices from which every other may take over while they drive, such as a scripted "
        "person's; [''] for none",
    )
    lockstep_countdown: float = parameter(
        0.0, "s of simulated time that replace those devices' countdowns", low=0.0, high=60.0
    )
    alignment_tolerance: float = parameter(
        0.35,
        "rad by which a device's joints may differ from the arm's at takeover",
        low=0.0,
        high=3.2,
    )
    reset_timeout: float = parameter(
        30.0, "s of wall-clock time that robot/reset may take", low=0.1, high=600.0
    )

    def device_list(self) -> list[Device]:
        """The devices with their settings.

        Raises:
            UserError: the countdowns do not fit, or a device of the other lists is not among them.
        """
        names = [name for name in self.devices if name]
        waited = {name for name in self.lockstep_devices if name} if self.lockstep else set()
        yielding = {name for name in self.yielding_devices if name}
        for parameter_name, given in (("lockstep", waited), ("yielding", yielding)):
            unknown = sorted(given - set(names))
            if unknown:
                raise UserError(
                    f"parameter '{parameter_name}_devices': '{unknown[0]}' is not in devices "
                    f"({', '.join(names)}): add it there, or leave it out here"
                )
        countdowns = self.countdowns * len(names) if len(self.countdowns) == 1 else self.countdowns
        if len(countdowns) != len(names):
            raise UserError(
                f"parameter 'countdowns': {len(countdowns)} numbers for {len(names)} devices "
                f"({', '.join(names)}): give one for all, or one each"
            )
        return [
            Device(
                name,
                self.lockstep_countdown if name in waited else countdown,
                lockstep=name in waited,
                yields=name in yielding,
            )
            for name, countdown in zip(names, countdowns, strict=True)
        ]


class _PendingReset:
    """One call of robot/reset under way."""

    def __init__(self, answer: Answer, deadline: float, future: Any) -> None:
        self.answer = answer
        self.deadline = deadline
        self.future = future


class MuxNode(Node):
    """Topics, services and timers around a ``Mux``."""

    def __init__(self) -> None:
        super().__init__("mux_node")
        self.parameters = declare(self, MuxParameters)
        robot = robot_of(self.parameters)
        self._joints = robot.commands
        self._mux = Mux(
            robot.action,
            robot.mapping(),
            self.parameters.device_list(),
            joints=robot.commands,
            lockstep=self.parameters.lockstep,
            period=1 / self.parameters.control_rate,
            tolerance=self.parameters.alignment_tolerance,
            clock=time.monotonic_ns,
        )
        self._pending: _PendingReset | None = None
        self._published: Status | None = None
        self._published_at = 0.0
        self._busy: list[float] = []
        self._make_publishers()
        self._make_subscriptions()
        self._make_services()
        # A wall timer: with use_sim_time a stalled simulator would stop a timer of the node's.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        poll = 1 / (self.parameters.control_rate * POLLS_PER_PERIOD)
        self.create_timer(poll, self._on_poll, clock=steady)
        Diagnostics(self, "arbitration", self._health)
        self._publish_status()

    def _make_publishers(self) -> None:
        self._action = self.create_publisher(Action, "action", RELIABLE)
        self._commands = self.create_publisher(
            Float64MultiArray, "forward_position_controller/commands", COMMAND
        )
        self._arbitration = self.create_publisher(Arbitration, "arbitration", LATCHED)

    def _make_subscriptions(self) -> None:
        subscribe = self.create_subscription
        subscribe(Action, "policy_action", self._on_policy_action, RELIABLE)
        subscribe(JointState, "joint_states", self._on_joint_states, SENSOR)
        for name in self._mux.arbitration.devices:
            topic = f"teleop/{name}"
            subscribe(Action, f"{topic}/action", partial(self._on_device_action, name), RELIABLE)
            subscribe(OperatorEvent, f"{topic}/event", partial(self._on_event, name), RELIABLE)
            subscribe(JointState, f"{topic}/joint_states", partial(self._on_pose, name), SENSOR)

    def _make_services(self) -> None:
        self._robot_reset = self.create_client(Reset, "robot/reset")
        self._reset = DeferredService(self, Reset, "reset", self._on_reset)
        self.create_service(Trigger, "stop", self._on_stop)
        self.create_service(Trigger, "release_stop", self._on_release_stop)

    # -- what arrives

    def _on_policy_action(self, message: Action) -> None:
        began = time.perf_counter()
        stamp = stamp_to_ns(message.header.stamp)
        self._emit(self._mux.policy_action(stamp, message.values, message.policy_version))
        self._busy.append(time.perf_counter() - began)

    def _on_device_action(self, name: str, message: Action) -> None:
        began = time.perf_counter()
        stamp = stamp_to_ns(message.header.stamp)
        self._emit(self._mux.device_action(name, stamp, message.values))
        self._busy.append(time.perf_counter() - began)

    def _on_event(self, name: str, message: OperatorEvent) -> None:
        if message.event <= max(Event):
            self._mux.event(name, Event(message.event), stamp_to_ns(message.header.stamp))
        else:
            self._mux.arbitration.counts[f"unknown events from {name}"] += 1
        self._publish_status()

    def _on_joint_states(self, message: JointState) -> None:
        self._mux.follower(dict(zip(message.name, message.position, strict=False)))

    def _on_pose(self, name: str, message: JointState) -> None:
        pose = dict(zip(message.name, message.position, strict=False))
        self._mux.arbitration.pose(name, pose)

    def _on_poll(self) -> None:
        self._emit(self._mux.poll())
        if self._pending is not None and time.monotonic() > self._pending.deadline:
            self._fail_reset(
                f"robot/reset has not answered for {self.parameters.reset_timeout:g} s: "
                "look at the robot's node"
            )
        if time.monotonic() - self._published_at > 1.0:
            self._published = None
            self._publish_status()

    # -- what leaves

    def _emit(self, output: Output | None) -> None:
        """Publishes the action before the command: who sees its effect has its record."""
        if output is not None:
            decision = output.decision
            command = () if output.command is None else output.command
            if output.stamp is not None:
                self._action.publish(
                    action_to_msg(
                        output.stamp,
                        decision.values,
                        decision.source,
                        output.policy_version,
                        command,
                    )
                )
            if output.command is not None:
                self._commands.publish(Float64MultiArray(data=doubles(output.command)))
        self._publish_status()

    def _publish_status(self) -> None:
        """Publishes who drives, where that has changed but for the countdown's running."""
        status = self._mux.arbitration.status()
        last = self._published
        if last is not None and (status.state, status.device, status.holding, status.reason) == (
            last.state,
            last.device,
            last.holding,
            last.reason,
        ):
            return
        self._published, self._published_at = status, time.monotonic()
        message = Arbitration(
            state=int(status.state),
            device=status.device,
            countdown=float(status.countdown),
            holding=status.holding,
            reason=status.reason,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._arbitration.publish(message)

    def _health(self) -> Health:
        status = self._mux.arbitration.status()
        values: dict[str, object] = dict(sorted(self._mux.arbitration.counts.items()))
        if self._busy:
            values["callback ms, mean"] = f"{1000 * sum(self._busy) / len(self._busy):.3f}"
            values["callback ms, worst"] = f"{1000 * max(self._busy):.3f}"
            self._busy.clear()
        return Health(
            status.reason or f"{status.state.name.lower()} {status.device}".strip(),
            warning=status.state == State.STOPPED or status.holding,
            values=values,
        )

    # -- services

    def _on_stop(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        self._mux.arbitration.stop("a call of the stop service")
        self._publish_status()
        response.success, response.message = True, "the arm holds until release_stop"
        return response

    def _on_release_stop(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        was_stopped = self._mux.arbitration.release_stop()
        self._publish_status()
        response.success = True
        response.message = "released" if was_stopped else "the arm was not stopped"
        return response

    def _on_reset(self, request: Reset.Request, answer: Answer) -> None:
        """Forwards a reset to the robot; its answer comes in ``_on_robot_reset``."""
        message = self._why_no_reset()
        if message:
            answer(Reset.Response(success=False, message=message))
            return
        if self._pending is not None:
            self._fail_reset("another reset was asked for before this one was done")
        self._mux.begin_reset()
        future = self._robot_reset.call_async(request)
        deadline = time.monotonic() + self.parameters.reset_timeout
        self._pending = _PendingReset(answer, deadline, future)
        future.add_done_callback(self._on_robot_reset)

    def _why_no_reset(self) -> str:
        """What a reset has to wait for; empty where it may begin."""
        if self._mux.arbitration.state == State.STOPPED:
            return f"{self._mux.arbitration.status().reason} (service release_stop)"
        if not self._robot_reset.service_is_ready():
            return "robot/reset is not there: start the robot's node, or wait until it is up"
        for name in self._mux.waits_for:
            if not self.count_publishers(f"teleop/{name}/action"):
                return f"device {name}, which each lockstep tick waits for, is not there yet"
        return ""

    def _on_robot_reset(self, future: Any) -> None:
        if self._pending is None or self._pending.future is not future:
            return
        response: Reset.Response = future.result()
        command = np.array(response.command, np.float64)
        if not response.success:
            self._fail_reset(response.message or "robot/reset failed without saying why")
        elif command.shape != (len(self._joints),) or not np.isfinite(command).all():
            self._fail_reset(
                f"robot/reset answered the command {command.tolist()}: "
                f"it must hold {len(self._joints)} finite joint positions"
            )
        else:
            self._mux.end_reset(stamp_to_ns(response.stamp), command)
            self._pending.answer(response)
            self._pending = None
            self._publish_status()

    def _fail_reset(self, message: str) -> None:
        assert self._pending is not None
        pending, self._pending = self._pending, None
        self._robot_reset.remove_pending_request(pending.future)
        self._mux.abort_reset()
        pending.answer(Reset.Response(success=False, message=message))


def main() -> None:
    """Entry point of the program."""
    node_main.main(MuxNode, MuxParameters)


if __name__ == "__main__":
    main()
