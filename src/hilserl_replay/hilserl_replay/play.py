"""The program ``play``: publishes what a run or a bag recorded, in time."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions

from hilserl_core.errors import UserError
from hilserl_core.options import add_options, given
from hilserl_core.parameters import build, parameter
from hilserl_core.qos import LATCHED, RELIABLE
from hilserl_replay.playback import Choice, Played, folders, message_class, messages, playable

# State: whoever subscribes later wants the last.
_LATCHED = ("arbitration", "robot_description", "tf_static", "status")
_PAUSE = 0.5  # s between two episodes


@dataclass(frozen=True)
class PlayParameters:
    """How a recording is played."""

    rate: float = parameter(1.0, "times as fast as it was recorded", low=0.01, high=1000.0)
    loop: bool = parameter(False, "starts over at the end, until it is stopped")
    start: int = parameter(0, "number of the first episode of a run", low=0)
    topics: tuple[str, ...] = parameter(
        (), "patterns, as camera/*,joint_states; empty: all that no robot or learner acts on"
    )
    namespace: str = parameter("", "put before every topic")
    wait: float = parameter(1.0, "s to wait first, for subscribers to find it", low=0.0)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; ends after the last message, or at Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="play",
        description="Publishes the topics of a run's episodes, or of any bag, in time; images "
        "and joints of steps too.",
        epilog="example: hilserl run hilserl_replay play runs/first --rate 2\n"
        "`ros2 bag play` plays a run's bags as well, one at a time and as they are.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path, help="a run, runs/NAME, or a bag's folder")
    add_options(parser, PlayParameters, "settings")
    arguments = parser.parse_args(args)
    # rclpy's own handlers would take the publishers away in the middle of a message.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("play")
    try:
        parameters = build(PlayParameters, given(arguments, PlayParameters))
        player = Player(node, parameters)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: player.stopped.set())
        player.play(arguments.path)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


class Player:
    """Publishes bags' messages, each when its stamp says."""

    def __init__(self, node: Node, parameters: PlayParameters) -> None:
        self._node = node
        self._parameters = parameters
        self._choice = Choice(parameters.topics, parameters.namespace)
        self._publishers: dict[str, Publisher] = {}
        self._said: set[str] = set()
        self.stopped = threading.Event()

    def play(self, path: Path) -> int:
        """Plays a run or a bag; returns how many messages were published.

        Raises:
            UserError: there is nothing to play, or a topic has another publisher.
        """
        found, count = folders(path, self._parameters.start), 0
        while not self.stopped.is_set():
            published = 0
            for folder in found:
                published += 0 if self.stopped.is_set() else self._play(folder)
            count += published
            if not published and not self.stopped.is_set():
                raise UserError(f"{path}: holds no message that can be played")
            if not self._parameters.loop:
                break
        return count

    def _play(self, folder: Path) -> int:
        chosen, left_out = playable(messages(folder), self._choice)
        for line in left_out:
            if line not in self._said:
                print(f"left out {line}")
                self._said.add(line)
        self._advertise(chosen)
        if chosen:
            length = (chosen[-1].stamp - chosen[0].stamp) * 1e-9
            print(f"{folder}: {len(chosen)} messages, {length:.1f} s", flush=True)
        count = 0
        for message in self._in_time(chosen):
            self._publishers[message.topic].publish(message.read())
            count += 1
        self.stopped.wait(_PAUSE / self._parameters.rate)
        return count

    def _in_time(self, chosen: Sequence[Played]) -> Iterator[Played]:
        """Messages, each once its time has come."""
        begin = time.monotonic()
        for message in chosen:
            due = begin + (message.stamp - chosen[0].stamp) * 1e-9 / self._parameters.rate
            if self.stopped.wait(max(0.0, due - time.monotonic())):
                return
            yield message

    def _advertise(self, chosen: Sequence[Played]) -> None:
        """Makes the publishers that are missing, and lets subscribers find them.

        Raises:
            UserError: somebody publishes a topic already: two would be seen mixed.
        """
        new = {m.topic: m.type for m in chosen if m.topic not in self._publishers}
        if not new:
            return
        for topic, kind in new.items():
            qos = LATCHED if topic.rsplit("/", 1)[-1] in _LATCHED else RELIABLE
            self._publishers[topic] = self._node.create_publisher(message_class(kind), topic, qos)
        self.stopped.wait(self._parameters.wait)
        taken = [topic for topic in new if self._node.count_publishers(topic) > 1]
        if taken:
            raise UserError(
                f"{taken[0]} has another publisher: stop that, or play into a namespace "
                "(--namespace /replay) or another ROS_DOMAIN_ID"
            )


if __name__ == "__main__":
    main()
