"""What the systems before us do in an update from cameras, restated plainly, to measure against.

A frozen ResNet-10 runs on both cameras' images of the current and of the next observation in
every update. States and next states are stored apart, as float32; a batch is read by indexing
and every image is shifted at random. Critics stand in a list, and targets follow parameter by
parameter. Sizes are HIL-SERL's: spatial learned embeddings of 8, a dense layer of 256 a camera,
MLPs of 2 x 256. Weights are random: time does not depend on them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CAMERAS = ("front", "wrist")
SIZE, PAD = 128, 4  # pixels
CHANNELS, EMBEDDINGS, DENSE, STATE = 512, 8, 256, 64
HIDDEN = 256
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Batch = dict[str, Tensor]


class _Block(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.GroupNorm(4, outputs) for _ in range(2))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.GroupNorm(4, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norms[0](self.first(x)))
        y = self.norms[1](self.second(y))
        return F.relu(y + self.shortcut(x))


class ResNet10(nn.Module):
    """One block a stage: images (n, 3, 128, 128) in [0, 1] to maps (n, 512, 4, 4)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.GroupNorm(4, 64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        stages = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, CHANNELS, 2))
        self.stages = nn.Sequential(*(_Block(*stage) for stage in stages))
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1))
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.stages(self.stem((images - self.mean) / self.deviation))
        return maps


class _Head(nn.Module):
    """Spatial learned embeddings of one camera's maps, and a dense layer: (n, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(0.02 * torch.randn(CHANNELS, 4, 4, EMBEDDINGS))
        self.dense = nn.Linear(CHANNELS * EMBEDDINGS, DENSE)
        self.norm = nn.LayerNorm(DENSE)

    def forward(self, maps: Tensor) -> Tensor:
        embedded = (maps.unsqueeze(-1) * self.kernel).sum((2, 3)).flatten(1)
        return torch.tanh(self.norm(self.dense(embedded)))


class _Encoder(nn.Module):
    """What is trained of the encoder: a head a camera, and a layer for the state."""

    def __init__(self, state_dim: int):
        super().__init__()
        self.heads = nn.ModuleDict({camera: _Head() for camera in CAMERAS})
        self.state = nn.Sequential(nn.Linear(state_dim, STATE), nn.LayerNorm(STATE), nn.Tanh())
        self.output_dim = len(CAMERAS) * DENSE + STATE

    def forward(self, maps: Batch, state: Tensor) -> Tensor:
        seen = [head(maps[camera]) for camera, head in self.heads.items()]
        return torch.cat([*seen, self.state(state)], -1)


def _mlp(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in (inputs, HIDDEN):
        layers += [nn.Linear(size, HIDDEN), nn.LayerNorm(HIDDEN), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(HIDDEN, outputs))


def random_shift(images: Tensor) -> Tensor:
    """Images (n, c, h, w), each moved by up to 4 pixels, edges repeated."""
    n, _, height, width = images.shape
    padded = F.pad(images, (PAD, PAD, PAD, PAD), mode="replicate")
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    rows, columns = torch.randint(0, 2 * PAD + 1, (2, n))
    return windows[torch.arange(n), :, rows, columns]


class Storage:
    """Transitions with their images, of this observation and of the next, as float32."""

    def __init__(self, capacity: int, state_dim: int, action_dim: int):
        self.capacity = capacity
        shape = (capacity, 3, SIZE, SIZE)
        self.images = {camera: torch.rand(shape) for camera in CAMERAS}
        self.next_images = {camera: torch.rand(shape) for camera in CAMERAS}
        self.state = torch.randn(capacity, state_dim)
        self.next_state = torch.randn(capacity, state_dim)
        self.action = torch.rand(capacity, action_dim) * 2 - 1
        self.reward = torch.zeros(capacity)
        self.mask = torch.ones(capacity)

    def sample(self, size: int) -> tuple[Batch, Batch, Batch]:
        """Images, next images, and the rest of a batch."""
        at = torch.randint(0, self.capacity, (size,))
        images = {camera: random_shift(stored[at]) for camera, stored in self.images.items()}
        following = {c: random_shift(stored[at]) for c, stored in self.next_images.items()}
        names = ("state", "next_state", "action", "reward", "mask")
        return images, following, {name: getattr(self, name)[at] for name in names}


@dataclass
class _Optimisers:
    critic: torch.optim.Adam
    actor: torch.optim.Adam
    temperature: torch.optim.Adam


class Reference:
    """Soft actor-critic over the frozen backbone.

    Args:
        state_dim, action_dim: of the robot.
        critics: in the list.
        batch_size: transitions in a batch.
        capacity: of the storage.
    """

    def __init__(
        self, state_dim: int, action_dim: int, critics: int, batch_size: int, capacity: int
    ):
        self.batch_size = batch_size
        self.storage = Storage(capacity, state_dim, action_dim)
        self.backbone = ResNet10()
        self.encoder = _Encoder(state_dim)
        width = self.encoder.output_dim
        self.critics = nn.ModuleList(_mlp(width + action_dim, 1) for _ in range(critics))
        self.target_encoder = copy.deepcopy(self.encoder)
        self.target_critics = copy.deepcopy(self.critics)
        self.actor = _mlp(width, 2 * action_dim)
        self.log_temperature = torch.tensor(-4.6, requires_grad=True)
        self.target_entropy = -action_dim / 2
        self.optimisers = _Optimisers(
            torch.optim.Adam([*self.encoder.parameters(), *self.critics.parameters()], 3e-4),
            torch.optim.Adam(self.actor.parameters(), 3e-4),
            torch.optim.Adam([self.log_temperature], 3e-4),
        )

    def _act(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """A sampled action and its log density."""
        mean, log_std = self.actor(features).chunk(2, -1)
        normal = torch.distributions.Normal(mean, log_std.clamp(-10, 1.6).exp())
        raw = normal.rsample()
        correction = 2 * (0.6931472 - raw - F.softplus(-2 * raw))
        return torch.tanh(raw), (normal.log_prob(raw) - correction).sum(-1)

    @staticmethod
    def _values(critics: nn.ModuleList, features: Tensor, action: Tensor) -> Tensor:
        inputs = torch.cat([features, action], -1)
        return torch.stack([critic(inputs).squeeze(-1) for critic in critics])

    def update(self) -> float:
        """Samples a batch, and updates critics, actor, temperature and targets once."""
        images, following, batch = self.storage.sample(self.batch_size)
        with torch.no_grad():
            maps = {camera: self.backbone(image) for camera, image in images.items()}
            next_maps = {camera: self.backbone(image) for camera, image in following.items()}
        loss = self._update_critics(maps, next_maps, batch)
        self._update_actor(maps, batch)
        self._update_targets()
        return loss

    def _update_critics(self, maps: Batch, next_maps: Batch, batch: Batch) -> float:
        with torch.no_grad():
            action, _ = self._act(self.encoder(next_maps, batch["next_state"]))
            features = self.target_encoder(next_maps, batch["next_state"])
            value = self._values(self.target_critics, features, action).amin(0)
            target = batch["reward"] + 0.97 * batch["mask"] * value
        features = self.encoder(maps, batch["state"])
        q = self._values(self.critics, features, batch["action"])
        loss = (q - target).square().mean(1).sum()
        self._descend(self.optimisers.critic, loss)
        return loss.item()

    def _update_actor(self, maps: Batch, batch: Batch) -> None:
        features = self.encoder(maps, batch["state"]).detach()
        action, log_density = self._act(features)
        value = self._values(self.critics, features, action).mean(0)
        temperature = self.log_temperature.exp()
        loss = (temperature.detach() * log_density - value).mean()
        self._descend(self.optimisers.actor, loss)
        entropy = -log_density.detach().mean()
        self._descend(self.optimisers.temperature, temperature * (entropy - self.target_entropy))

    @staticmethod
    def _descend(optimiser: torch.optim.Adam, loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def _update_targets(self) -> None:
        for own, target in (
            (self.encoder, self.target_encoder),
            (self.critics, self.target_critics),
        ):
            for value, old in zip(own.parameters(), target.parameters(), strict=True):
                old.data.copy_(0.005 * value.data + 0.995 * old.data)
