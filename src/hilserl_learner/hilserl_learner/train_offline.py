"""The program ``train_offline``: learns in a Gymnasium environment, without ROS."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hilserl_core.errors import UserError
from hilserl_core.options import add_options, given
from hilserl_core.parameters import build

_EXAMPLE = """\
examples:
  train_offline --env gym_pusht/PushT-v0 --seed 1 --total-steps 100000
  train_offline --env Pendulum-v1 --total-steps 20000 --discount 0.99 --hidden 64,64
  train_offline --env gym_pusht/PushT-v0 --algorithm bc --demos 200
  train_offline --env gym_pusht/PushT-v0 --env-settings obs_type=pixels_agent_pos
"""
NOT_OFFERED = (
    *("run", "task", "arm", "observation", "action_space", "specs", "seed", "demonstrations"),
)
"""Of the learner's parameters: those that are the run's, or speak of the arm."""


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; the last line printed is the last evaluation's figures."""
    try:
        _run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("interrupted: the run's folder keeps what was evaluated so far", file=sys.stderr)
        raise SystemExit(130) from None


def _run(args: Sequence[str] | None) -> None:
    # Here, so that a missing package is said in one line as well.
    from hilserl_learner import process
    from hilserl_learner.offline import OfflineParameters, OfflineRun
    from hilserl_learner.parameters import LearnerParameters

    parser = argparse.ArgumentParser(
        prog="train_offline",
        description="Learns in a Gymnasium environment, in one process and without ROS.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, OfflineParameters, "the run")
    add_options(parser, LearnerParameters, "the learner", NOT_OFFERED)
    arguments = parser.parse_args(args)
    parameters = build(OfflineParameters, given(arguments, OfflineParameters))
    learning = given(arguments, LearnerParameters, NOT_OFFERED)
    run = OfflineRun(parameters, learning, lambda line: print(line, flush=True))
    process.prepare(run.learner_parameters.threads)
    run.train()


if __name__ == "__main__":
    main()
