"""A leader arm on a bus of its own: it follows, is pushed, leads, and follows again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hilserl_core.step import Event, Source
from hilserl_description.arm_model import MAX_JOINT_STEP
from hilserl_description.kinematics import ForwardKinematics
from hilserl_msgs.msg import Arbitration
from hilserl_msgs.srv import Reset
from table import Table

pytestmark = pytest.mark.alone

POLICY = str(Path(__file__).parent / "walking_policy.py")
COUNTDOWN = 0.5
ONE_STEP = MAX_JOINT_STEP + 1e-9


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    result = Table(tmp_path)
    try:
        result.add_arm("koch_follower")
        result.add_arm("koch_leader", "/leader", command_period=0.02)
        result.start("mux", ["-m", "hilserl_teleop.mux_node"], countdowns=f"[{COUNTDOWN}]")
        result.start("leader_node", ["-m", "hilserl_teleop.leader_node"])
        go_home(result)
        result.commands.clear()
        yield result
    finally:
        result.close()


def go_home(table: Table) -> None:
    client = table.node.create_client(Reset, "reset")
    table.until(lambda: client.service_is_ready() and table.joints)
    done = []
    while not done:
        future = client.call_async(Reset.Request())
        table.until(future.done)
        done = [True] if future.result().success else table.spin(0.5) or []
    table.node.destroy_client(client)


def follows(table: Table, tolerance: float = 0.1) -> bool:
    leader, follower = table.arms["koch_leader"], table.arms["koch_follower"]
    return bool(np.abs(leader.angles - follower.angles).max() < tolerance)


def test_a_person_pushes_the_leader_leads_and_gives_the_arm_back(table: Table) -> None:
    leader, follower = table.arms["koch_leader"], table.arms["koch_follower"]
    tool = ForwardKinematics().position
    table.until(lambda: follows(table))
    table.start("policy", [POLICY])
    table.until(lambda: any(a.source == Source.POLICY and any(a.values) for a in table.actions))
    table.spin(1.5)
    assert table.arbitration.state == Arbitration.POLICY, "the policy's own motion is no push"
    assert follows(table, 0.3)

    # A hand takes hold of it: the follower stops where it is, and waits for the hand to yield.
    leader.push(1, 1.0)
    table.until(lambda: table.arbitration.state == Arbitration.HANDOVER)
    table.until(lambda: "leader and the arm disagree at shoulder_lift" in table.arbitration.reason)
    standing = tool(table.commands[-1])
    assert not leader.is_limp
    leader.push(1, 0.0)
    table.until(lambda: table.is_driven_by("leader") and leader.is_limp)
    table.spin(0.5)
    # The leader was still swinging back when it was let go, and the follower swings along.
    assert np.abs(tool(table.commands[-1]) - standing).max() < 0.015

    # It leads: the follower's tool goes where the leader's has gone.
    start, begun = leader.angles, tool(table.commands[-1])
    table.actions.clear()
    way = np.array([0.15, 0.0, -0.1, 0.05, 0.0, 0.0])
    for share in np.linspace(0.0, 1.0, 20):
        leader.carry(start + share * way)
        table.spin(0.05)
    wanted = begun + tool(leader.angles) - tool(start)
    table.until(lambda: np.abs(tool(table.commands[-1]) - wanted).max() < 0.006, 10.0)
    table.until(lambda: np.abs(follower.angles - table.commands[-1]).max() < 0.05, 10.0)
    assert sum(action.source == Source.HUMAN for action in table.actions) >= 5

    table.send("leader", Event.RELEASE)
    table.until(lambda: table.arbitration.state == Arbitration.POLICY and not leader.is_limp)
    table.until(lambda: follows(table, 0.3))
    commands = np.array(table.commands)
    assert (np.abs(np.diff(commands, axis=0)) <= ONE_STEP).all(), "the follower was to jump"


def test_a_stall_of_everything_costs_nobody_their_push(table: Table) -> None:
    leader = table.arms["koch_leader"]
    table.until(lambda: follows(table))
    table.start("policy", [POLICY])
    table.until(lambda: any(a.source == Source.POLICY and any(a.values) for a in table.actions))
    table.spin(0.5)
    leader.push(1, 1.0)
    table.spin(0.05)
    assert table.arbitration.state == Arbitration.POLICY
    table.stall(0.35)
    table.until(lambda: table.arbitration.state == Arbitration.HANDOVER, 5.0)


@pytest.mark.parametrize("victim", ["policy", "leader_node", "koch_leader", "mux", "koch_follower"])
def test_whoever_dies_the_arm_holds(table: Table, victim: str) -> None:
    leader, follower = table.arms["koch_leader"], table.arms["koch_follower"]
    table.until(lambda: follows(table))
    led = victim in ("leader_node", "koch_leader")
    if led:
        table.send("leader", Event.TAKEOVER)
        table.until(lambda: table.is_driven_by("leader") and leader.is_limp)
    else:
        table.start("policy", [POLICY])
    before = follower.angles
    start, moved = leader.angles, 0.0
    for _ in range(600):
        if led:
            moved += 0.01
            leader.carry(start + moved * np.array([1.0, 0, 0, 0, 0, 0]))
        table.spin(0.05)
        if np.abs(follower.angles - before).max() > 0.1:
            break
    assert np.abs(follower.angles - before).max() > 0.1, "it does not move"
    table.kill(victim)
    table.spin(0.5)
    held = follower.angles
    table.spin(0.7)
    assert np.abs(follower.angles - held).max() < 0.01
    if victim == "koch_follower":
        with follower.emulated.bus.lock:
            stopped = {servo.get("bus_watchdog") for servo in follower.emulated.servos}
        assert stopped == {-1}, "the servos' own watchdog"
    else:
        assert not follower.is_limp
