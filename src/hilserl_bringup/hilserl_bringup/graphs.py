"""All graphs, by name."""

from __future__ import annotations

from hilserl_bringup import arm_graphs, gym_graphs

GRAPHS = {**arm_graphs.GRAPHS, **gym_graphs.GRAPHS}
