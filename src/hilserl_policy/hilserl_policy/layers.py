"""What encoders are built of, whatever their shapes: a trunk, heads, and layers between numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EMBEDDINGS = 8  # weightings of each map's places


class CompactTrunk(nn.Module):
    """Three convolutions, each followed by a ReLU but the last; 1/4 of the resolution.

    Args:
        channels: of the maps that come out.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 5, stride=2, padding=2)
        self.second = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.third = nn.Conv2d(32, channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Maps (n, 3, h, w) to (n, channels, h / 4, w / 4)."""
        x = F.relu(self.first(image), inplace=True)
        x = F.relu(self.second(x), inplace=True)
        result: Tensor = self.third(x)
        return result


class SpatialSoftmax(nn.Module):
    """Keypoints: the expected place of each map's softmax, after Finn et al. (arXiv 1509.06113).

    Args:
        height, width: of the maps.
    """

    places: Tensor

    def __init__(self, height: int, width: int):
        super().__init__()
        # An even softmax would say the centre, whatever it sees, and learn slowly.
        self.sharpness = nn.Parameter(torch.tensor(5.0))
        rows = torch.linspace(-1, 1, height).repeat_interleave(width)
        columns = torch.linspace(-1, 1, width).repeat(height)
        self.register_buffer("places", torch.stack((columns, rows), 1), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (n, channels, height, width) to (n, 2 * channels) in [-1, 1]: x, y of each."""
        weights = torch.softmax(maps.flatten(2) * self.sharpness, 2)
        return (weights @ self.places).flatten(1)


class SpatialEmbeddings(nn.Module):
    """HIL-SERL's spatial learned embeddings: of each map, weighted sums over its places.

    Args:
        channels, height, width: of the maps.
    """

    def __init__(self, channels: int, height: int, width: int):
        super().__init__()
        scale = (channels * height * width) ** -0.5
        self.weight = nn.Parameter(torch.randn(EMBEDDINGS, channels, height, width) * scale)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (n, channels, height, width) to (n, channels * embeddings)."""
        return torch.einsum("nchw,kchw->nck", maps, self.weight).flatten(1)


def mlp(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """Layers with LayerNorm and ReLU, and a linear one at the end."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(inputs, size), nn.LayerNorm(size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
