"""Every setting of the learner, declared once."""

from __future__ import annotations

from dataclasses import dataclass

from hilserl_core.parameters import parameter
from hilserl_core.run import ALGORITHMS
from hilserl_description.robot_parameters import RobotParameters
from hilserl_learner.acceleration import DEVICES
from hilserl_policy.backbones import BACKBONES
from hilserl_policy.encoders import ENCODERS, HEADS
from hilserl_policy.mlp import ACTIVATIONS


@dataclass(frozen=True)
class AlgorithmParameters:
    """Settings of the networks, of replay, and of the update."""

    hidden: tuple[int, ...] = parameter((128, 128), "width of each hidden layer", low=1)
    activation: str = parameter("tanh", "after each LayerNorm", choices=ACTIVATIONS)
    initial_std: float = parameter(
        0.15, "std of the arm's action before learning, action units", low=1e-5, high=5.0
    )

    critics: int = parameter(2, "critics in the ensemble", low=1, high=64)
    target_subset: int = parameter(
        2, "critics, drawn at random, whose minimum makes the target", low=1, high=64
    )
    discount: float = parameter(0.97, "discount a step", low=0.0, high=1.0)
    n_step: int = parameter(3, "steps summed before bootstrapping", low=1, high=100)
    stop_at_source_change: bool = parameter(False, "n-step sums end where somebody else takes over")
    backup_entropy: bool = parameter(False, "the target's value includes the entropy, as in SAC")
    polyak: float = parameter(0.005, "share of the critic that a target takes over", low=0, high=1)

    batch_size: int = parameter(256, "transitions in a batch", low=1)
    offline_weight: float = parameter(1.0, "share of OFFLINE steps in a batch", low=0.0)
    policy_weight: float = parameter(1.0, "share of POLICY steps in a batch", low=0.0)
    human_weight: float = parameter(2.0, "share of HUMAN steps in a batch", low=0.0)
    capacity: int = parameter(
        200_000,
        "steps in the replay buffer, about 0.3 kB each; 25 kB more where the encoder is trained "
        "end to end, from two cameras",
        low=1000,
    )

    learning_rate: float = parameter(3e-4, "of actor and critics (Adam)", low=0.0)
    gradient_limit: float = parameter(
        0.0, "norm beyond which a network's whole gradient is scaled down; 0: none", low=0.0
    )
    dropout: float = parameter(
        0.0, "share of the critics' hidden units dropped in every layer (DroQ: 0.01)",
        low=0.0, high=0.9,
    )  # fmt: skip
    temperature_learning_rate: float = parameter(3e-4, "of the temperatures (Adam)", low=0.0)
    initial_temperature: float = parameter(0.01, "weight of the entropy at first", low=1e-8)
    target_entropy: float = parameter(
        -0.5, "entropy that the arm's temperature aims at, nats a dimension"
    )
    gripper_target_entropy: float = parameter(
        0.05,
        "entropy that the gripper's temperature aims at, nats (even odds have 1.1)",
        low=0.0,
    )
    gripper_penalty: float = parameter(
        -0.02, "reward for each change of the commanded gripper", high=0.0
    )

    cloning_steps: int = parameter(
        500, "behaviour-cloning updates of the actor at the start", low=0
    )
    cloning_learning_rate: float = parameter(1e-3, "of these updates (Adam)", low=0.0)
    cloning_weight: float = parameter(
        0.1,
        "weight of the squared error to OFFLINE and HUMAN arm actions in the actor's loss",
        low=0,
    )
    gripper_cloning_weight: float = parameter(
        0.1, "weight of the cross-entropy to OFFLINE and HUMAN gripper choices in it", low=0.0
    )
    cloning: str = parameter(
        "fixed",
        "how closely the actor follows people: by a fixed weight, or by one that SiLRI learns "
        "for each state",
        choices=("fixed", "silri"),
    )
    initial_multiplier: float = parameter(
        0.07, "that weight at first, with SiLRI", low=1e-4, high=100.0
    )
    multiplier_learning_rate: float = parameter(3e-6, "of that weight (Adam)", low=0.0)
    device: str = parameter(
        "auto", "where updates are computed; auto: a GPU where there is one", choices=DEVICES
    )
    compile: bool = parameter(
        False, "compile the updates first (torch.compile): minutes, and no gain on a CPU"
    )
    critic_warmup: int = parameter(500, "critic-only updates before the actor follows", low=0)
    actor_average: float = parameter(
        0.005,
        "share of the trained actor that the acting one takes over in each update of it; "
        "1: the trained one acts",
        low=1e-6,
        high=1.0,
    )
    critic_updates_per_actor: int = parameter(2, "critic updates for one of the actor", low=1)


@dataclass(frozen=True)
class LearnerParameters(AlgorithmParameters, RobotParameters):
    """Parameters of the learner node."""

    run: str = parameter("", "folder of the run")
    task: str = parameter("lift_cube", "what the arm is to do")
    encoder: str = parameter(
        "learned", "what makes features of images: hilserl_policy.encoders says", choices=ENCODERS
    )
    encoder_head: str = parameter(
        "spatial_softmax", "what makes features of the encoder's maps", choices=HEADS
    )
    backbone: str = parameter(
        "efficientnet_lite0", "trunk of the pretrained encoder", choices=BACKBONES
    )
    backbone_weights: str = parameter(
        "",
        "its weights: a .safetensors file, or OWNER/NAME of a model on the hub; empty: the "
        "backbone's own. Every machine that runs the policy needs them",
    )
    shift: int = parameter(
        4,
        "pixels of a camera's picture by which end_to_end moves it at random, at most",
        low=0, high=64,
    )  # fmt: skip
    keypoints: int = parameter(16, "of each camera: half as many as its features", low=1, high=256)
    pretrain_updates: int = parameter(
        400, "of the encoder on the demonstrations, before anything else", low=1, high=10**6
    )
    refresh_updates: int = parameter(
        200, "of the encoder on all frames so far, each time it is refreshed; 0: never", low=0
    )
    encoder_niceness: int = parameter(
        10, "of the process that refreshes the encoder while the arm moves", low=0, high=19
    )
    refresh_seconds: float = parameter(
        10.0, "wall-clock time between the starts of two refreshes, s", low=0.0, high=1e6
    )
    seed: int = parameter(1, "seed of networks, noise and sampling", low=0, high=2**31 - 1)
    demonstrations: str = parameter("", "folder of another run whose demonstrations to learn from")
    algorithm: str = parameter(
        "rlpd",
        "reinforcement learning; or cloning alone, of demonstrations and every later correction "
        "(HG-DAgger) or of demonstrations (bc)",
        choices=ALGORITHMS,
    )
    utd_ratio: float = parameter(
        2.0,
        "critic updates (with HG-DAgger: cloning updates) for each training step received",
        low=0.0,
        high=100.0,
    )
    publish_updates: int = parameter(50, "critic updates between two published policies", low=1)
    checkpoint_seconds: float = parameter(
        10.0, "wall-clock time between two checkpoints, s", low=0.1, high=1e5
    )
    threads: int = parameter(1, "threads of torch", low=1, high=64)
    niceness: int = parameter(
        5, "of the learner's process: what drives the arm comes before its updates", low=0, high=19
    )
