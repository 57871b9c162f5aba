"""An encoder's training in the learner's own process, where nobody waits for an arm."""

from __future__ import annotations

import copy
from dataclasses import replace

from hilserl_core.errors import UserError
from hilserl_core.step import Episode
from hilserl_learner.encoder_training import EncoderTraining, Refresh


class LocalRefresher:
    """Trains at once when it is asked to.

    Args:
        training: that learns.

    Attributes:
        progress: always 0: who asks waits until it is done.
    """

    def __init__(self, training: EncoderTraining) -> None:
        self._training = training
        self._done: Refresh | None = None
        self.progress = 0.0

    def add(self, episode: Episode) -> None:
        """Takes an episode that has ended.

        Raises:
            UserError: it has no images.
        """
        if not episode.steps[0].observation.images:
            raise UserError(
                "demonstrations without images cannot teach an encoder: leave out "
                "--demonstrations, or name a run that was recorded with its images"
            )
        self._training.add_episode(episode)

    def request(self, updates: int, alone: bool) -> None:
        self._training.train(updates)
        refresh = self._training.refresh()
        # The training goes on with its own, whose weights change.
        self._done = replace(refresh, encoder=copy.deepcopy(refresh.encoder))

    def poll(self) -> Refresh | None:
        done, self._done = self._done, None
        return done

    def close(self) -> None:
        pass
