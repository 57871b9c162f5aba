"""Random episodes for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from made_episodes import SPEC, START

from hilserl_core.step import Episode, Observation, Outcome, Phase, Source, Step

STATE, ACTION = 3, 2
_ENDINGS = (
    (Outcome.SUCCESS, True),
    (Outcome.FAILURE, True),
    (Outcome.TIMEOUT, False),
    (Outcome.ABORTED, False),
)
_floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
_actions = st.floats(-1, 1, width=32)


def _vector(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


@st.composite
def episodes(draw: st.DrawFn, number: int = 0, images: int = 0, discarded: bool = True) -> Episode:
    """An episode of 1 to 6 transitions; some are cut off, some lack steps."""
    count = draw(st.integers(1, 6))
    endings = _ENDINGS if discarded else _ENDINGS[:3]
    outcome, terminal = draw(st.sampled_from(endings))
    cut_off = draw(st.booleans())
    phase = draw(st.sampled_from([Phase.RECORD, Phase.TRAIN, Phase.RUN]))
    indices = draw(
        st.lists(st.integers(0, 20), min_size=count + 1, max_size=count + 1, unique=True)
    )
    steps = []
    for place, index in enumerate(sorted(indices)):
        last = place == count and not cut_off
        proposed = draw(st.booleans())
        steps.append(
            Step(
                observation=Observation(
                    stamp=START + index * 100_000_000 + draw(st.integers(0, 1000)),
                    state=_vector(draw(st.lists(_floats, min_size=STATE, max_size=STATE))),
                    images=tuple(
                        np.random.default_rng((index, camera)).integers(
                            0, 256, (16, 16, 3), dtype=np.uint8
                        )
                        for camera in range(images)
                    ),
                ),
                action=_vector(
                    [] if last else draw(st.lists(_actions, min_size=ACTION, max_size=ACTION))
                ),
                policy_action=_vector(
                    draw(st.lists(_actions, min_size=ACTION, max_size=ACTION)) if proposed else []
                ),
                source=draw(st.sampled_from(Source)),
                reward=0.0 if last else draw(st.sampled_from([-1.0, 0.0, 0.25, 1.0])),
                is_first=index == 0,
                is_last=last,
                is_terminal=last and terminal,
                outcome=outcome if last else Outcome.NONE,
                run="demo",
                phase=phase,
                episode=number,
                index=index,
                policy_version=draw(st.integers(0, 2**40)),
                spec=SPEC,
            )
        )
    return Episode(tuple(steps))
