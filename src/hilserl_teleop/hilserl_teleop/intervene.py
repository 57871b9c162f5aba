"""`intervene`: watch who drives the arm, and drive it with the keys of a terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter_client import AsyncParameterClient
from sensor_msgs.msg import JointState

from hilserl_core import node as node_main
from hilserl_core.parameters import parameter
from hilserl_core.qos import LATCHED, SENSOR
from hilserl_core.ros_parameters import declare
from hilserl_core.step import Event, Outcome, Phase, name_of
from hilserl_msgs.msg import Arbitration, RunStatus
from hilserl_teleop.keyboard import Keyboard, find_keyboards
from hilserl_teleop.keymap import JOG, Command, KeyboardState, help_text
from hilserl_teleop.operator_device import OperatorDevice
from hilserl_teleop.terminal import Terminal

AUTO = "auto"
ACTION_SPACES = tuple(JOG)
MUX = "mux_node"
NOTE_SECONDS = 3.0
EVENTS = {
    Command.SUCCESS: Event.SUCCESS,
    Command.FAILURE: Event.FAILURE,
    Command.DISCARD: Event.DISCARD,
    Command.STOP: Event.STOP,
    Command.RELEASE: Event.RELEASE,
}


@dataclass(frozen=True)
class InterveneParameters:
    """Parameters of intervene."""

    device: str = parameter("keyboard", "name of this device, one of the mux's devices")
    leader: str = parameter(
        "leader", "device of the leader arm, which a key has take over or release"
    )
    action_space: str = parameter(
        AUTO,
        "what actions mean; auto: what they mean to the mux",
        choices=(AUTO, *ACTION_SPACES),
    )
    control_rate: float = parameter(10.0, "actions a second", low=1.0, high=100.0)
    speed: float = parameter(
        0.5, "share of the fastest motion at the start; keys + and - change it", low=0.05, high=1.0
    )
    keyboard: str = parameter(
        "auto",
        "the keyboard's device in /dev/input, which tells when a key is let go of; auto: look for "
        "one, unless this is a remote terminal; none: go by the terminal's repeats",
    )


def describe(
    arbitration: Arbitration | None,
    status: RunStatus | None,
    device: str,
    speed: float,
    age: float,
    heard: bool = True,
) -> str:
    """The line of state.

    Args:
        arbitration: the mux's last word; None where there was none.
        status: of the run; None where there was none.
        device: this device's name.
        speed: of jogging, as a share.
        age: s since the mux's last word.
        heard: whether somebody takes this device's events, and has said what actions mean.
    """
    if arbitration is None:
        return "no mux: start hilserl_teleop mux_node"
    if not heard:
        return f"the mux does not hear {device} yet (has it this device among its devices?)"
    if age > 3.0:
        return f"the mux is silent for {age:.0f} s: nobody commands the arm"
    who = "YOU" if arbitration.device == device else arbitration.device
    parts = {
        Arbitration.POLICY: ["policy drives"],
        Arbitration.HANDOVER: [f"{who} in {max(0.0, arbitration.countdown - age):.1f} s"],
        Arbitration.HUMAN: [f"{who} DRIVE" if who == "YOU" else f"{who} drives"],
        Arbitration.STOPPED: ["STOPPED"],
    }[arbitration.state]
    if arbitration.holding:
        parts.append("holds")
    if status is not None:
        run = f"{name_of(Phase, status.phase)} episode {status.episode}"
        if not status.in_episode:
            outcome = name_of(Outcome, status.last_outcome)
            run += " over" if outcome == "none" else f" over: {outcome}"
        parts.append(run)
    # What may be long comes after it: a narrow terminal shows the beginning alone.
    if arbitration.reason:
        parts.append(arbitration.reason)
    if status is not None and status.message:
        parts.append(status.message)
    parts.append(f"speed {100 * speed:.0f} %")
    return " | ".join(parts)


class Intervene(Node):
    """Keys to topics, and topics to one line."""

    def __init__(self) -> None:
        super().__init__("intervene")
        self.parameters = declare(self, InterveneParameters)
        p = self.parameters
        self._keys = Keyboard(find_keyboards(p.keyboard))
        self._space = ""  # Until it is known no key moves the arm; all others do what they do.
        self._keyboard = self._keyboard_of(ACTION_SPACES[0])
        self._mux: Arbitration | None = None
        self._mux_at = 0.0
        self._status: RunStatus | None = None
        self._note = ("", 0.0)
        self.create_subscription(Arbitration, "arbitration", self._on_arbitration, LATCHED)
        self.create_subscription(RunStatus, "run/status", self._on_status, LATCHED)
        self.create_subscription(JointState, "joint_states", self._on_joint_states, SENSOR)
        self._device = OperatorDevice(self, p.device, self._say, others=[p.leader])
        self._terminal = Terminal()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if p.action_space == AUTO:
            self._mux_parameters = AsyncParameterClient(self, MUX)
            self._asking = self.create_timer(0.5, self._ask_space, clock=steady)
        else:
            self._mean(p.action_space)
        self.create_timer(0.02, self._on_keys, clock=steady)
        self.create_timer(0.1, self._draw, clock=steady)
        self.create_timer(1 / p.control_rate, self._publish_action, clock=steady)

    # -- what arrives

    def _on_arbitration(self, message: Arbitration) -> None:
        self._mux, self._mux_at = message, time.monotonic()

    def _on_status(self, message: RunStatus) -> None:
        self._status = message

    def _on_joint_states(self, message: JointState) -> None:
        self._device.seen = message.header.stamp

    # -- what actions mean

    def _keyboard_of(self, space: str) -> KeyboardState:
        is_down = self._keys.is_down if self._keys.found else None
        return KeyboardState(self.parameters.speed, space, is_down)

    def _ask_space(self) -> None:
        """Asks the mux, and again, until it has said so: it may be started later, or anew."""
        if self._space:
            self._asking.cancel()
        elif self._mux_parameters.services_are_ready():
            self._mux_parameters.get_parameters(["action_space"], self._on_space)

    def _on_space(self, future: Any) -> None:
        (value,) = future.result().values
        if value.string_value not in ACTION_SPACES:
            self._say(f"{MUX} does not say what actions mean: give action_space to intervene")
        elif not self._space:
            self._mean(value.string_value)

    def _mean(self, space: str) -> None:
        self._space, self._keyboard = space, self._keyboard_of(space)
        self._terminal.say(help_text(space))

    # -- what the person does

    @property
    def _mine(self) -> bool:
        """Whether this device has the arm or is about to."""
        return self._mux is not None and self._mux.device == self.parameters.device

    @property
    def _driving(self) -> bool:
        return self._mine and self._mux is not None and self._mux.state == Arbitration.HUMAN

    def _on_keys(self) -> None:
        self._keys.update()
        data = self._terminal.read()
        if not self._terminal.alive:
            self._abandon("the terminal is gone")
            return
        for command in self._keyboard.feed(data, time.monotonic()):
            self._obey(command)

    def _obey(self, command: Command) -> None:
        if command == Command.TOGGLE:
            self._device.send(Event.RELEASE if self._mine else Event.TAKEOVER)
        elif command == Command.LEADER:
            leader = self.parameters.leader
            has_it = self._mux is not None and self._mux.device == leader
            self._device.send(Event.RELEASE if has_it else Event.TAKEOVER, leader)
        elif command in EVENTS:
            self._device.send(EVENTS[command])
        elif command == Command.RESET:
            self._device.ask_for_reset()
        elif command == Command.RELEASE_STOP:
            self._device.release_stop()
        elif command == Command.QUIT:
            if self._mine:
                self._device.send(Event.RELEASE)
            self._end(0)
        elif command == Command.INTERRUPT:
            self._abandon("interrupted")

    # -- what leaves

    def _publish_action(self) -> None:
        if not self._driving:
            self._keyboard.clear()
        if self._space:
            self._device.act(self._keyboard.values(time.monotonic()))

    def _say(self, text: str) -> None:
        self._note = (text, time.monotonic() + NOTE_SECONDS)

    def _draw(self) -> None:
        now = time.monotonic()
        line = describe(
            self._mux,
            self._status,
            self.parameters.device,
            self._keyboard.speed,
            now - self._mux_at,
            self._device.heard and bool(self._space),
        )
        note, until = self._note
        self._terminal.show(f"{line} | {note}" if now < until else line)

    # -- the end

    def _abandon(self, why: str) -> None:
        """Ends without a release: the mux holds the arm for nobody, not for the policy."""
        if self._mine:
            self._keyboard.clear()
            self._publish_action()
            text = f"{why}: the arm holds; run intervene again to drive on or to release"
        else:
            text = f"{why}; this device did not have the arm"
        self._terminal.say(text)
        if not self._terminal.alive:
            self.get_logger().error(text)
        self._end(1)

    def _end(self, code: int) -> None:
        for timer in self.timers:
            timer.cancel()
        node_main.finish(self, code)

    def close(self) -> None:
        """Gives the terminal back once the last words have arrived."""
        self._device.finish()
        self._keys.close()
        self._terminal.close()


def main() -> None:
    """Entry point of the program."""
    node_main.main(Intervene, InterveneParameters)


if __name__ == "__main__":
    main()
