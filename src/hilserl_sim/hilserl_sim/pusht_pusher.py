"""A scripted pusher for PushT: it looks ahead in the environment's own physics.

The block moves only while it is touched, and its faces have no friction: a push acts along
a face's normal, and what it does depends on little but where it starts. So the pusher
tries, from points all round the block, a straight push along the normal in a copy of the
physics, takes the one after which the block lies best, walks round the block to where it
starts, makes it, and looks again.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymunk
import shapely
from gym_pusht.envs.pusht import PushTEnv
from numpy.typing import NDArray
from shapely.geometry import LineString, Point, Polygon

from hilserl_sim.pusht_geometry import OUTLINE, RADIUS, SIDE, Pose, Vector, distance_to_goal
from hilserl_sim.pusht_view import PushtView

SUBSTEPS, SUBSTEP = 10, 0.01  # physics steps in a control tick, and their length, s
LOW, HIGH = 5.0, 506.0  # where the walls' middles are
STIFFNESS, DAMPING = 100.0, 20.0  # of the controller that moves the agent, 1/s^2 and 1/s

BLOCK = Polygon(OUTLINE)
SPACING = 8.0  # between two starts of pushes
CLEARANCE = 4.0  # between agent and block where a push starts
WALKING = 21.0  # from the block to the agent's middle on its way round
PACES = (6.0, 15.0)  # a tick, of the target that the agent follows while it pushes
PUSH_TICKS = 16  # the longest push
WALKING_PACE = 20.0  # a tick, to price the way to a push
TICK_PRICE = 0.02  # of distance to the goal, for a tick
CALM = 15.0  # a second; slower than this the agent is at rest

_BORDER = 3.0  # nearer to it no push starts
_ARRIVED = 2.0  # from a push's start, where it may begin
_CORNER_PASSED = 12.0  # from a corner of the way, where the next one is made for
_STRAIGHT = 25.0  # from a push's start, where the way is straight
_RETREAT = 25.0  # straight away from the block, when too near to walk
_WRONG = 10.0  # farther from the goal than before, a push is not looked into any further
_NEAR_GOAL = 30.0  # mean distance to the goal below which time counts less


class Physics:
    """A copy of the environment's physics, to try pushes in."""

    def __init__(self) -> None:
        # Built from the environment's parts, without the callback that counts its contacts:
        # that takes half of the time.
        space = self._space = pymunk.Space()
        space.damping = 0.0
        corners = [(LOW, LOW), (HIGH, LOW), (HIGH, HIGH), (LOW, HIGH)]
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            space.add(PushTEnv.add_segment(space, a, b, 2))
        self._agent = PushTEnv.add_circle(space, (0, 0), RADIUS)
        self._block, _ = PushTEnv.add_tee(space, (0, 0), 0)

    def push(
        self, pose: Pose, start: Vector, targets: Vector, hold: int
    ) -> Iterator[tuple[Pose, Vector]]:
        """Block and agent after each target of a push from rest at ``start``, as they come.

        Args:
            targets: (n, 2), what the agent is sent to.
            hold: ticks for which each stays.
        """
        agent, block, space = self._agent, self._block, self._space
        agent.position, agent.velocity = tuple(start), (0.0, 0.0)
        block.angle = pose.angle  # before the position: it turns about the centre of gravity
        block.position = (pose.x, pose.y)
        block.velocity, block.angular_velocity = (0.0, 0.0), 0.0
        space.reindex_shapes_for_body(block)
        for tx, ty in targets.tolist():
            for _ in range(SUBSTEPS * hold):
                (x, y), (vx, vy) = agent.position, agent.velocity
                agent.velocity = (
                    vx + (STIFFNESS * (tx - x) - DAMPING * vx) * SUBSTEP,
                    vy + (STIFFNESS * (ty - y) - DAMPING * vy) * SUBSTEP,
                )
                space.step(SUBSTEP)
            (x, y), at = block.position, np.array(tuple(agent.position))
            yield Pose(x, y, block.angle), at


def _starts() -> tuple[Vector, Vector]:
    """Where pushes start round the block and where they go, (n, 2) each, in its frame."""
    starts, directions = [], []
    for a, b in zip(OUTLINE, np.roll(OUTLINE, -1, 0), strict=True):
        length = float(np.linalg.norm(b - a))
        along = (b - a) / length
        outward = np.array([along[1], -along[0]])
        for t in np.arange(2.0, length - 1.9, SPACING):
            start = a + t * along + (RADIUS + CLEARANCE) * outward
            if BLOCK.distance(Point(start)) > RADIUS + 0.5 * CLEARANCE:
                starts.append(start)
                directions.append(-outward)
    return np.array(starts), np.array(directions)


class Route:
    """Ways round the block, in its own frame."""

    def __init__(self) -> None:
        around = BLOCK.buffer(WALKING, join_style="mitre")
        self._corners = [np.array(corner) for corner in around.exterior.coords[:-1]]
        # The agent may already stand nearer than it would walk.
        self._first = BLOCK.buffer(RADIUS + 1.0, join_style="mitre")
        self._later = BLOCK.buffer(WALKING - 2.0, join_style="mitre")
        for area in (self._first, self._later):
            shapely.prepare(area)

    def corners(self, start: Vector, end: Vector) -> list[Vector]:
        """The points of the shortest way, after ``start`` and up to ``end``, (2,) each.

        Where no way is clear it leads straight on: a bump moves the block a little, and the
        next look takes it as it lies.
        """
        nodes = [start, end, *self._corners]
        best, before, queue = {0: 0.0}, {0: 0}, [(0.0, 0)]
        while queue:
            cost, i = heapq.heappop(queue)
            if i == 1:
                path = [1]
                while before[path[-1]]:
                    path.append(before[path[-1]])
                return [nodes[k] for k in reversed(path)]
            for j, node in enumerate(nodes):
                line = LineString([nodes[i], node])
                longer = cost + line.length
                if j != i and longer < best.get(j, np.inf) and self._clear(line, first=i == 0):
                    best[j], before[j] = longer, i
                    heapq.heappush(queue, (longer, j))
        return [end]

    def _clear(self, line: LineString, first: bool) -> bool:
        area = self._first if first else self._later
        return not (area.crosses(line) or area.contains(line))


@dataclass(frozen=True)
class Push:
    """A straight push.

    Attributes:
        start: (2,), where the agent has to stand, at rest.
        approach: (2,), a little further from the block.
        targets: (n, 2), what the agent is sent to then.
        price: how well the block lies afterwards, and what that takes; less is better.
    """

    start: Vector
    approach: Vector
    targets: Vector
    price: float


class Pusher:
    """Acts in PushT.

    Args:
        reach: how far from the agent a target may lie.
        hold: ticks for which each target stays.
    """

    def __init__(self, reach: float, hold: int) -> None:
        self._physics, self._route = Physics(), Route()
        self._reach, self._hold = reach, hold
        self._starts, self._directions = _starts()
        self._push: Push | None = None
        self._targets: deque[Vector] = deque()

    def reset(self) -> None:
        """Forgets its plan, for a new episode."""
        self._push = None
        self._targets.clear()

    def act(self, agent: Vector, velocity: Vector, pose: Pose) -> Vector:
        """Where to send the agent, (2,), within reach of where it is.

        Args:
            agent, velocity: (2,) each, of the agent; a second for the velocity.
            pose: of the block.
        """
        if self._push is None:
            self._push = self._plan(agent, pose)
        if not self._targets:
            start = self._push.start
            calm = np.linalg.norm(velocity) < CALM
            if np.linalg.norm(agent - start) >= _ARRIVED or not calm:
                return self._limit(agent, self._walk(agent, self._push, pose))
            self._targets.extend(self._push.targets)
        target = self._targets.popleft()
        if not self._targets:
            self._push = None
        return self._limit(agent, target)

    def _limit(self, agent: Vector, target: Vector) -> Vector:
        step = target - agent
        return agent + step * min(1.0, self._reach / max(float(np.linalg.norm(step)), 1e-9))

    def _plan(self, agent: Vector, pose: Pose) -> Push:
        """The push with the least price."""
        now = distance_to_goal(pose)
        paces = PACES[now >= 2 * _NEAR_GOAL :]  # far off, the quick ones alone
        numbers = np.arange(1, PUSH_TICKS // self._hold + 1)[:, None] * self._hold
        pushes = []
        starts, directions = pose.to_world(self._starts), pose.rotate(self._directions)
        for start, direction in zip(starts, directions, strict=True):
            if start.min() < _BORDER or start.max() > SIDE - _BORDER:
                continue
            for pace in paces:
                targets = (start + direction * pace * numbers).clip(0.0, SIDE)
                approach = start - direction * (WALKING + 1.0 - RADIUS - CLEARANCE)
                pushes.append(self._deepen(Push(start, approach, targets, np.inf), agent, pose))
        return min(pushes, key=lambda push: push.price)

    def _deepen(self, push: Push, agent: Vector, pose: Pose) -> Push:
        """The push, ended where its price is least."""
        now, best = distance_to_goal(pose), push
        walk = float(np.linalg.norm(agent - push.start)) / WALKING_PACE
        hurry = TICK_PRICE * min(1.0, now / _NEAR_GOAL)
        steps = self._physics.push(pose, push.start, push.targets, self._hold)
        for count, (after, at) in enumerate(steps, 1):
            distance = distance_to_goal(after)
            if distance > now + _WRONG:
                break
            price = distance + hurry * (walk + count * self._hold)
            if price < best.price:
                # It ends by sending the agent to where it is, until it is at rest.
                targets = np.concatenate((push.targets[:count], [at, at]))
                best = Push(push.start, push.approach, targets, price)
        return best

    def _walk(self, agent: Vector, push: Push, pose: Pose) -> Vector:
        """The next point of the way to where the push starts."""
        here, start = pose.to_block(agent), pose.to_block(push.start)
        room, left = BLOCK.distance(Point(here)), float(np.linalg.norm(agent - push.start))
        if left <= _STRAIGHT and BLOCK.distance(LineString([here, start])) > RADIUS + 0.3:
            return push.start
        if left > _STRAIGHT and room < RADIUS + 1.5:
            touched = np.array(shapely.shortest_line(BLOCK, Point(here)).coords[0])
            away = (here - touched) / max(float(np.linalg.norm(here - touched)), 1e-9)
            return pose.to_world(here + _RETREAT * away)
        way = self._route.corners(here, pose.to_block(push.approach))
        following = pose.to_world(way[0])
        if np.linalg.norm(agent - following) >= _CORNER_PASSED:
            return following
        return pose.to_world(way[1]) if len(way) > 1 else push.start


class PushtDemonstrator:
    """The pusher in the terms of a policy.

    Args:
        env: what the policy acts in.
    """

    def __init__(self, env: PushtView) -> None:
        self._env = env
        self._pusher = Pusher(env.reach, env.hold)

    def reset(self) -> None:
        """Forgets its plan, for a new episode."""
        self._pusher.reset()

    def act(self, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """The action, (2,) in [-1, 1]; reads the agent's velocity from ``info``."""
        env = self._env
        velocity = np.asarray(info["vel_agent"], float)
        return env.to_action(self._pusher.act(env.agent, velocity, env.pose))
