"""When a learner's encoder is trained, refreshed and taken up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hilserl_core.spec import ObservationSpec
from hilserl_learner.adoption import Adoption
from hilserl_learner.experience import Experience
from hilserl_learner.parameters import LearnerParameters
from hilserl_learner.refresh import Refresher
from hilserl_learner.representation import future_dim
from hilserl_learner.sac import State
from hilserl_policy.encoders import EncoderSpec


def encoder_spec(p: LearnerParameters, observation: ObservationSpec) -> EncoderSpec | None:
    """The encoder of a run; None where the policy sees no images.

    Raises:
        UserError: the images do not fit it.
    """
    if not observation.images:
        return None
    settings: dict[str, Any] = {"keypoints": p.keypoints, "head": p.encoder_head}
    if p.encoder == "pretrained":
        # It has learned from sharper pictures than a run's own objects need.
        settings |= {"trunk": p.backbone, "backbone_weights": p.backbone_weights, "reduce": 1}
    if trained_apart(p, observation):
        settings["foresight"] = future_dim(observation)  # the critics would not teach it
    return EncoderSpec.of(observation, **settings)


def trained_apart(p: LearnerParameters, observation: ObservationSpec) -> bool:
    """Whether a process of its own trains the encoder; else the critics do, or there is none."""
    return bool(observation.images) and p.encoder != "end_to_end"


class Sight:
    """Asks for encoders and has them taken up, one unit of work at a time.

    Args:
        refresher: trains the encoder.
        experience: of the learner.
        parameters: the learner's.
        state_dim: numbers before the features in the networks' input.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        refresher: Refresher,
        experience: Experience,
        parameters: LearnerParameters,
        state_dim: int,
        clock: Callable[[], float],
    ):
        self._refresher, self._experience = refresher, experience
        self._p, self._state_dim, self._clock = parameters, state_dim, clock
        self._adoption: Adoption | None = None
        self._training = False
        self._asked = clock()
        self._steps = 0  # training steps received when it was last asked for
        self.refreshes = 0
        self.explained = 0.0

    def pretrain(self) -> None:
        """Asks for the first encoder, while nothing else happens."""
        self._request(self._p.pretrain_updates, alone=True)

    def refresh_if_due(self) -> None:
        """Asks for the next one, once time and new steps make it worth it."""
        if self._training or self._adoption is not None:
            return
        if not self._p.refresh_updates:
            self._experience.forget_frames()
            return
        waited = self._clock() - self._asked >= self._p.refresh_seconds
        if waited and self._experience.training_steps > self._steps:
            self._request(self._p.refresh_updates, alone=False)

    def _request(self, updates: int, alone: bool) -> None:
        self._training = True
        self._asked, self._steps = self._clock(), self._experience.training_steps
        self._refresher.request(updates, alone)

    def work(self, state: State | None) -> tuple[bool, bool]:
        """Does one unit of what is due.

        Args:
            state: of the networks; None: they have not learned yet.

        Returns:
            Whether there was anything to do, and whether the encoder changed.
        """
        if self._adoption is None:
            refresh = self._refresher.poll()
            if refresh is None:
                return False, False
            self._training = False
            self._adoption = Adoption(refresh, self._experience)
        if self._adoption.catch_up():
            return True, False
        self.explained = self._adoption.complete(state, self._state_dim)
        self._adoption = None
        self.refreshes += 1
        return True, True

    def metrics(self) -> dict[str, float]:
        """How the encoder's training goes."""
        return {
            "encoder_refreshes": float(self.refreshes),
            "encoder_progress": self._refresher.progress if self._training else 0.0,
            "encoder_explained": self.explained,
        }

    def close(self) -> None:
        """Ends the encoder's training."""
        self._refresher.close()
