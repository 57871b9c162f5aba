"""An arm of servos as a node: its joint states, its commands, and its life.

Configure opens the port and checks the arm; activate switches the torque on where it
stands; deactivate holds, then switches it off. With ``autostart`` it does the first two by
itself. The bus has a thread of its own; only these transitions wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from hilserl_core import qos
from hilserl_core.deferred import Answer, DeferredService
from hilserl_core.diagnostics import Diagnostics, Health
from hilserl_core.errors import UserError
from hilserl_core.messages import doubles
from hilserl_core.node import main as run_node
from hilserl_core.parameters import parameter
from hilserl_core.ros_parameters import declare
from hilserl_core.stamps import ns_to_stamp
from hilserl_drivers import calibration
from hilserl_drivers.connection import Connection
from hilserl_drivers.driver import Driver, DriverSettings, Role, Sample, State
from hilserl_drivers.homing import Homing
from hilserl_drivers.loop import DriverLoop
from hilserl_msgs.msg import ServoState
from hilserl_msgs.srv import Reset

HOLD_SECONDS = 0.3
"""The arm comes to rest before its torque is switched off."""

POLL_SECONDS = 0.02
SLOW = 0.9  # Of the rate asked for: less is worth a warning.
BAD_SHARE = 0.01  # Of answers; as it is a cable's fault, it is worth one too.


@dataclass(frozen=True)
class DriverParameters(DriverSettings, Connection):
    """Parameters of the driver."""

    rate: float = parameter(100.0, "cycles a second", low=10.0, high=1000.0)
    role: str = parameter(
        Role.FOLLOW.value,
        "what the arm does at first: go where it is commanded, or be limp for a person to move",
        choices=tuple(role.value for role in Role),
    )
    autostart: bool = parameter(
        True, "configure and activate at the start, instead of waiting for the transitions"
    )


class DriverNode(LifecycleNode):
    """Topics and services around a driver that runs on its own thread."""

    def __init__(self) -> None:
        super().__init__("driver_node")
        self.parameters = declare(self, DriverParameters)
        self._driver: Driver | None = None
        self._loop: DriverLoop | None = None
        self._sample: Sample | None = None
        self._said = ""
        self._failure = ""
        self._waiting: list[tuple[Future[Any], Callable[[Future[Any]], None]]] = []
        self._resets: list[tuple[Homing, Answer]] = []
        self._make_messages()
        self._make_topics()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(POLL_SECONDS, self._on_poll, clock=steady)
        Diagnostics(self, "arm", self._health)
        if self.parameters.autostart:
            self._autostart()

    def _make_messages(self) -> None:
        """Messages are made once and filled anew."""
        names = list(self.parameters.which.joints)
        self._joints = JointState(name=names)
        self._servos = ServoState(name=names)

    def _make_topics(self) -> None:
        self._joint_states = self.create_publisher(JointState, "joint_states", qos.SENSOR)
        self._servo_states = self.create_publisher(ServoState, "servo_states", qos.SENSOR)
        topic = "forward_position_controller/commands"
        self.create_subscription(Float64MultiArray, topic, self._on_command, qos.COMMAND)
        self.create_service(Trigger, "robot/stop", self._on_stop)
        DeferredService(self, Reset, "robot/reset", self._on_reset)
        DeferredService(self, Trigger, "robot/release_stop", self._on_release_stop)
        DeferredService(self, SetBool, "robot/lead", self._on_lead)

    # -- the node's life

    def _autostart(self) -> None:
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                self.close()
                raise UserError(self._failure)

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:
        """Refuses a transition that the state does not have, where rclpy would raise.

        Anybody could end the node by asking for one, and so drop the arm.
        """
        try:
            change = super()._LifecycleNodeMixin__change_state
            result: TransitionCallbackReturn = change(transition_id)
            return result
        except RuntimeError as error:
            self.get_logger().error(f"transition {transition_id} was refused: {error}")
            return TransitionCallbackReturn.FAILURE

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Opens the port and checks the arm."""
        return self._transition(self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Switches the torque on."""
        super().on_activate(state)
        return self._transition(lambda: self._do(self._must_driver().activate))

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Holds, then switches the torque off."""
        super().on_deactivate(state)
        return self._transition(self._rest)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Closes the port."""
        return self._transition(self.close)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes the torque off and closes the port."""
        return self._transition(self.close)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Takes the torque off and closes the port."""
        return self._transition(self.close)

    def _transition(self, action: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            action()
        except UserError as error:
            self._failure = str(error)
            if not self.parameters.autostart:
                self.get_logger().error(self._failure)
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        parameters = self.parameters
        arm = parameters.which
        bus = parameters.bus()
        entries = calibration.load(parameters.calibration_path, arm)
        driver = Driver(bus, arm, entries, parameters, time.monotonic)
        driver.role = Role(parameters.role)
        self._driver = driver
        self._loop = DriverLoop(driver, parameters.rate, self._on_sample, self._on_failure)
        try:
            self._do(driver.configure)
        except UserError:
            self.close()
            raise
        self.get_logger().info(f"{arm.name} at {parameters.port} is ready")
        if driver.assistance.unable:
            self.get_logger().warning(driver.assistance.unable)

    def _must_driver(self) -> Driver:
        assert self._driver is not None, "the lifecycle lets nothing but configure come first"
        return self._driver

    def _do(self, action: Callable[[], Any]) -> Any:
        """Has the bus's thread do something, and waits for it."""
        assert self._loop is not None
        return self._loop.do(action).result()

    def _rest(self) -> None:
        """Holds, then takes the torque off."""
        driver = self._must_driver()
        if driver.state == State.ACTIVE:
            self._do(driver.hold)
            time.sleep(HOLD_SECONDS)
        self._do(driver.deactivate)

    def close(self) -> None:
        """Holds, takes the torque off, and closes the port; a second call does nothing."""
        loop, driver = self._loop, self._driver
        if loop is None or driver is None:
            return
        self._rest()
        self._loop = self._driver = self._sample = None
        loop.end(driver.close)

    # -- what comes in

    def _on_command(self, message: Float64MultiArray) -> None:
        if self._driver is not None:
            self._driver.command(np.array(message.data, float))

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._driver is not None
        response.message = "the driver is not configured"
        if self._driver is not None:
            self._driver.request_stop("stopped by robot/stop: call robot/release_stop to go on")
            response.message = "the torque is cut until robot/release_stop"
        return response

    def _on_release_stop(self, _request: Trigger.Request, answer: Answer) -> None:
        self._later(self._activate_again, answer, Trigger.Response, "the arm is active")

    def _on_lead(self, request: SetBool.Request, answer: Answer) -> None:
        role = Role.LEAD if request.data else Role.FOLLOW
        done = "the arm is limp" if request.data else "the arm follows"
        self._later(lambda: self._must_driver().set_role(role), answer, SetBool.Response, done)

    def _activate_again(self) -> None:
        driver = self._must_driver()
        if driver.state == State.READY:
            raise UserError("the arm was not stopped; activate the node")
        driver.activate()

    def _later(
        self, action: Callable[[], None], answer: Answer, response: type[Any], done: str
    ) -> None:
        """Answers once the bus's thread has done something."""
        if self._loop is None:
            answer(response(success=False, message="the driver is not configured"))
            return

        def finish(future: Future[Any]) -> None:
            error = future.exception()
            answer(response(success=error is None, message=done if error is None else str(error)))

        self._waiting.append((self._loop.do(action), finish))

    def _on_reset(self, _request: Reset.Request, answer: Answer) -> None:
        """Moves home; answers when it is there, or says why not."""
        if self._loop is None:
            answer(Reset.Response(success=False, message="the driver is not configured"))
            return

        def begun(future: Future[Homing]) -> None:
            error = future.exception()
            if error is None:
                self._resets.append((future.result(), answer))
            else:
                answer(Reset.Response(success=False, message=str(error)))

        self._waiting.append((self._loop.do(self._must_driver().home), begun))

    def _on_poll(self) -> None:
        """Sends what has become ready: services answer on the executor's thread."""
        for future, finish in [item for item in self._waiting if item[0].done()]:
            self._waiting.remove((future, finish))
            if not future.cancelled():
                finish(future)
        for homing, answer in [item for item in self._resets if item[0].done]:
            self._resets.remove((homing, answer))
            response = Reset.Response(success=not homing.problem, message=homing.problem)
            response.stamp = ns_to_stamp(time.time_ns())
            response.command = doubles(homing.target)
            answer(response)
        problem = self._driver.problem if self._driver is not None else ""
        if problem != self._said:
            self._said = problem
            self.get_logger().error(problem) if problem else self.get_logger().info("well again")

    # -- what goes out; on the bus's thread

    def _on_sample(self, sample: Sample) -> None:
        joints, servos = self._joints, self._servos
        joints.header.stamp = servos.header.stamp = ns_to_stamp(time.time_ns())
        joints.position = servos.position = doubles(sample.position)
        joints.velocity = servos.velocity = doubles(sample.velocity)
        servos.current = doubles(sample.current)
        servos.voltage = doubles(sample.voltage)
        servos.temperature = doubles(sample.temperature)
        servos.hardware_error = sample.error.tolist()
        self._joint_states.publish(joints)
        self._servo_states.publish(servos)
        self._sample = sample

    def _on_failure(self, error: BaseException) -> None:
        self.get_logger().fatal(f"the driver failed: {error!r}", throttle_duration_sec=5.0)

    def _health(self) -> Health:
        driver, loop, sample = self._driver, self._loop, self._sample
        if driver is None or loop is None:
            return Health("not configured")
        timing, counts = loop.timing(), driver.bus.counts
        answers = max(1, counts.received + counts.lost)
        rejected = sum(judge.rejected for judge in driver.joints.judges.values())
        values: dict[str, object] = {
            "role": driver.role.value,
            "helps when limp": ", ".join(driver.assistance.helping) or "nothing",
            "rate [Hz]": f"{timing.rate:.1f}",
            "jitter [ms]": f"{1e3 * timing.jitter:.2f}",
            "period, 99th percentile [ms]": f"{1e3 * timing.period:.1f}",
            "longest period [ms]": f"{1e3 * timing.worst:.1f}",
            "cycle, 99th percentile [ms]": f"{1e3 * timing.cycle:.1f}",
            "answers": counts.received,
            "answers lost": counts.lost,
            "answers damaged": counts.bad,
            "readings not believed": rejected,
            "commands refused": driver.refused_commands,
            "reconnections": driver.reconnections,
        }
        if sample is not None:
            values["hottest servo [deg C]"] = f"{sample.temperature.max():.0f}"
            values["lowest voltage [V]"] = f"{sample.voltage.min():.1f}"
            for joint, load in zip(driver.arm.joints, sample.load, strict=True):
                if not np.isnan(load):
                    values[f"load of {joint} [%]"] = f"{100 * load:.1f}"
        slow = 0 < timing.rate < SLOW * self.parameters.rate
        bad = counts.lost + counts.bad > BAD_SHARE * answers
        message = driver.problem or driver.state.value
        if not driver.problem and (slow or bad):
            message += ", but slow" if slow else ", but many packets are damaged: check the cable"
        return Health(message, bool(driver.problem) or slow or bad, values)


def main() -> None:
    """Entry point of the program."""
    run_node(DriverNode, DriverParameters)


if __name__ == "__main__":
    main()
