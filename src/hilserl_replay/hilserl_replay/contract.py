"""What the topics of a bag are to become: the contract of a conversion, read from YAML.

``contracts/koch.yaml`` explains every key by example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hilserl_core.errors import UserError
from hilserl_core.parameters import build, parameter
from hilserl_core.region import Region
from hilserl_core.spec import ActionSpec, ImageField, ObservationSpec
from hilserl_core.step import Outcome, Phase, Source
from hilserl_description.arm_model import IMAGES, JOINT_NAMES, OBSERVATIONS, ArmModel, action_spec
from hilserl_description.models import MODELS

CONTRACTS = Path(__file__).parent / "contracts"
RECORDED = "RECORDED"
NOTHING = "none"
_ENDINGS = (Outcome.SUCCESS.name, Outcome.FAILURE.name, Outcome.TIMEOUT.name)
_STAMPS = ("header", "receive")

T = TypeVar("T")


@dataclass(frozen=True)
class StreamTerms:
    """One topic of measurements."""

    topic: str = parameter("", "its name, in the contract's namespace unless it begins with /")
    stamp: str = parameter(
        "header", "its samples' time: their header's, or when they were recorded", choices=_STAMPS
    )
    max_age: float = parameter(
        0.1, "age beyond which its newest sample is none, s; 0: never", low=0.0, high=3600.0
    )


@dataclass(frozen=True)
class CameraTerms(StreamTerms):
    """One camera's images, raw or compressed."""

    region: tuple[int, ...] = parameter(
        (0, 0, 0, 0), "x, y, width, height of what the policy sees, pixels; zeros: all", low=0
    )


@dataclass(frozen=True)
class ActionTerms(StreamTerms):
    """Where the actions come from."""

    kind: str = parameter(
        "commands",
        "joint targets sent to the arm; joint states of a leader arm that it followed; or "
        "actions that our mux executed",
        choices=("commands", "leader", "executed"),
    )
    joints: tuple[str, ...] = parameter(
        JOINT_NAMES, "order of the joints in a message that does not name them"
    )


@dataclass(frozen=True)
class EpisodeTerms:
    """Where episodes begin and end."""

    gap: float = parameter(
        1.0, "time without a complete tick that ends an episode, s", low=0.01, high=3600.0
    )
    events: tuple[str, ...] = parameter((), "topics of OperatorEvent, which end episodes")
    under_way: str = parameter("", "topic of std_msgs/Bool: whether an episode is under way")
    resets: str = parameter("", "topic of the reset service's calls, which begin episodes")
    max_seconds: float = parameter(
        0.0, "length at which an episode times out, s; 0: none", low=0.0, high=3600.0
    )
    min_steps: int = parameter(2, "steps below which an episode is dropped", low=0)
    outcome: str = parameter(
        "SUCCESS", "of an episode of which the bag does not say how it ended", choices=_ENDINGS
    )


@dataclass(frozen=True)
class Terms:
    """What is said once."""

    task: str = parameter("", "what the arm did, for reports")
    arm: str = parameter("koch", "which arm it was", choices=tuple(MODELS))
    namespace: str = parameter("", "of the topics")
    observation: str = parameter("cameras", "what the policy sees", choices=OBSERVATIONS)
    action_space: str = parameter(
        "ee_delta", "what actions mean", choices=("ee_delta", "joint_delta")
    )
    control_rate: float = parameter(10.0, "ticks a second", low=0.1, high=1000.0)
    ticks: str = parameter(
        "", "topic whose headers' stamps are the ticks; empty: a clock of the control rate"
    )
    image_size: int = parameter(128, "height and width of the policy's images", low=8, high=1024)
    source: str = parameter(
        Source.OFFLINE.name,
        "who acted; RECORDED: as executed actions say",
        choices=(*(source.name for source in Source), RECORDED),
    )
    phase: str = parameter(
        Phase.RECORD.name,
        "what the episodes are for; a learner takes demonstrations from RECORD",
        choices=(Phase.RECORD.name, Phase.TRAIN.name),
    )
    rewards: str = parameter("", "topic of Reward; empty: nobody judged")
    proposals: str = parameter("", "topic of what the policy proposed; empty: no policy")


@dataclass(frozen=True)
class Contract:
    """A checked contract."""

    terms: Terms
    joint_states: StreamTerms
    actions: ActionTerms
    episodes: EpisodeTerms
    cameras: Mapping[str, CameraTerms]
    servo_states: StreamTerms | None = None
    object_pose: StreamTerms | None = None

    @property
    def arm(self) -> ArmModel:
        """Which arm it was."""
        return MODELS[self.terms.arm]

    @property
    def observation_spec(self) -> ObservationSpec:
        size = self.terms.image_size
        order = [image.name for image in IMAGES]
        names = order if set(order) == set(self.cameras) else list(self.cameras)
        images = [ImageField(name, size, size) for name in names]
        return self.arm.observation_spec(self.terms.observation, images)

    @property
    def action_spec(self) -> ActionSpec:
        return action_spec(self.terms.action_space)

    def topic(self, name: str) -> str:
        """A topic's absolute name."""
        if name.startswith("/"):
            return name
        namespace = self.terms.namespace.strip("/")
        return f"/{namespace}/{name}" if namespace else f"/{name}"


def known_contracts() -> list[str]:
    """Names of the contracts that come with the package."""
    return sorted(path.stem for path in CONTRACTS.glob("*.yaml"))


def read_contract(name: str, given: Mapping[str, Any] | None = None) -> Contract:
    """Reads a contract.

    Args:
        name: a file, or one of ``known_contracts``.
        given: settings of the first level that go before the file's.

    Raises:
        UserError: names the file, the key, the value, and what would be right.
    """
    path = CONTRACTS / f"{name}.yaml" if name in known_contracts() else Path(name)
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"contract '{name}': {getattr(error, 'strerror', error)}: give a file, or one of "
            f"{', '.join(known_contracts())}"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no settings")
    try:
        return _contract({**content, **(given or {})})
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _contract(content: Mapping[str, Any]) -> Contract:
    sections = {field.name for field in fields(Contract)} - {"terms"}
    once = {key: value for key, value in content.items() if key not in sections}
    cameras = content.get("cameras") or {}
    if not isinstance(cameras, dict):
        raise UserError("cameras: give each camera's terms by its name")
    contract = Contract(
        terms=build(Terms, once),
        joint_states=_stream(StreamTerms, "joint_states", content.get("joint_states")),
        actions=_stream(ActionTerms, "actions", content.get("actions")),
        episodes=_section(EpisodeTerms, "episodes", content.get("episodes") or {}),
        cameras={str(n): _stream(CameraTerms, f"cameras.{n}", c) for n, c in cameras.items()},
        servo_states=_optional("servo_states", content),
        object_pose=_optional("object_pose", content),
    )
    _check(contract, "servo_states" in content)
    return contract


def _section(cls: type[T], name: str, content: Any) -> T:
    if not isinstance(content, dict):
        raise UserError(f"{name}: {content!r} is no set of keys and values")
    try:
        return build(cls, content)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def _stream(cls: type[T], name: str, content: Any) -> T:
    """A section that needs a topic, which may be all it says."""
    content = {"topic": content} if isinstance(content, str) else content
    if not isinstance(content, dict) or not content.get("topic"):
        raise UserError(f"{name}: names no topic: give 'topic: NAME'")
    return _section(cls, name, content)


def _optional(name: str, content: Mapping[str, Any]) -> StreamTerms | None:
    value = content.get(name)
    return None if value in (None, NOTHING) else _stream(StreamTerms, name, value)


def _check(contract: Contract, servo_states_named: bool) -> None:
    """Refuses what contradicts itself."""
    terms = contract.terms
    if not servo_states_named:
        raise UserError(
            "servo_states: name their topic, or say 'none': the policy is then shown a current of "
            "0 A, as of servos that measure none"
        )
    if terms.observation == "cameras" and not contract.cameras:
        raise UserError("cameras: none is named, and observation is 'cameras'")
    if terms.observation == "state" and contract.object_pose is None:
        raise UserError("object_pose: names no topic, and observation 'state' needs it")
    if terms.source == RECORDED and contract.actions.kind != "executed":
        raise UserError(
            f"source: {RECORDED} needs actions of kind 'executed', these are "
            f"'{contract.actions.kind}': say who acted"
        )
    if contract.actions.kind == "executed" and not terms.ticks:
        raise UserError(
            "ticks: name the topic whose stamps executed actions answer, such as reward"
        )
    if terms.rewards and not terms.ticks:
        raise UserError("ticks: rewards belong to observations: name the topic of their stamps")
    for name, camera in contract.cameras.items():
        try:
            Region.of(camera.region)
        except UserError as error:
            raise UserError(f"cameras.{name}: {error}") from None
