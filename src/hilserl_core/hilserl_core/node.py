"""How every node's process starts, spins and ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

import rclpy
from rclpy.duration import Duration
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from hilserl_core.errors import UserError
from hilserl_core.parameters import describe

SPIN_SECONDS = 3600.0

LAST_WORDS = 4.0
"""s that a node's end may wait for others: a message that was lost on the way is sent again
within 3 s, the heartbeat of a reliable writer."""

_DRAIN_PERIOD = 0.05  # s


def finish(node: Node, code: int = 0) -> None:
    """Ends the node's process in order, from any callback or thread."""
    node.exit_code = code
    os.kill(os.getpid(), signal.SIGTERM)


def run(make_node: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """Spins one node until a signal or ``finish`` ends it; returns the exit code.

    The node's ``close()``, if it has one, is called while its publishers still work, so
    that its last act can be a safe command; rclpy's own signal handlers would shut the
    context down before. What it published reliably is then waited for until it has arrived.

    A node that keeps what others send has a ``drained()`` as well: whether all of them have
    ended. Until then, or for ``LAST_WORDS`` seconds, it goes on.
    """
    ended = _first_signal()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node = None
    try:
        node = make_node()
        executor = EventsExecutor()
        executor.add_node(node)
        while not ended.done():
            # Without a time limit this executor computes a deadline that overflows, and
            # polls with its queue locked: no timer fires.
            executor.spin_until_future_complete(ended, SPIN_SECONDS)
        _drain(executor, node)
        return int(getattr(node, "exit_code", 0))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        if node is not None:
            close = getattr(node, "close", None)
            if close is not None:
                close()
            _deliver(node)
            node.destroy_node()
        rclpy.try_shutdown()


def _drain(executor: EventsExecutor, node: Node) -> None:
    """Goes on until nobody is left who could send, if the node wants that."""
    drained = getattr(node, "drained", None)
    deadline = time.monotonic() + LAST_WORDS
    while drained is not None and not drained() and time.monotonic() < deadline:
        executor.spin_until_future_complete(Future(), _DRAIN_PERIOD)


def _deliver(node: Node) -> None:
    """Waits until the readers that are left have what was published to them reliably."""
    deadline = time.monotonic() + LAST_WORDS
    for publisher in node.publishers:
        left = max(0.0, deadline - time.monotonic())
        publisher.wait_for_all_acked(Duration(seconds=left))


def _first_signal() -> Future[None]:
    """A future that is done at the first SIGINT or SIGTERM; the second ends the process.

    The executor waits outside the interpreter, where Python's handlers do not run, and a
    library's thread may be the one that a signal meets: so the low-level handler writes to
    a pipe, and a thread of its own reads it. The future ends the spin; the executor's own
    ``shutdown`` would wait for the spin while it holds the interpreter that the spin needs
    to return.
    """
    future: Future[None] = Future()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        os.read(reader, 1)
        future.set_result(None)
        received = os.read(reader, 1)
        os._exit(128 + received[0])

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return future


def main(make_node: Callable[[], Node], parameters: type) -> None:
    """The entry point of a node's program: ``run``, then exit with its code.

    Args:
        make_node: makes the node, whose module's docstring says what it is for.
        parameters: the dataclass of its parameters, for ``--help``.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(_help(make_node, parameters))
        return
    code = run(make_node)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of DDS and of numeric libraries can hang an interpreter's end; all that had
    # to be in order has been closed.
    os._exit(code)


def _help(make_node: Callable[[], Node], parameters: type) -> str:
    """What a program is for, its parameters, and an example."""
    module = sys.modules[make_node.__module__]
    program = make_node.__module__.rpartition(".")[2]
    described = describe(parameters)
    first, default, _ = described[0]
    lines = [
        f"{(module.__doc__ or '').strip()}",
        "",
        f"example: {program} --ros-args -p {first}:={default or 'VALUE'}",
        "         (--params-file FILE for many; -r __ns:=/NAME for a namespace)",
        "",
        "parameters:",
    ]
    for name, default, text in described:
        lines += [f"  {name}:={default}", f"      {text}"]
    return "\n".join(lines)
