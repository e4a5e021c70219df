"""SPEC's systems in PyTorch, as a PyTorch user would write them: networks in NCHW.

A layer has the name that it has in jaxgan's networks, so that `load_parameters` finds it. PyTorch
pads the odd pixel of a strided convolution on the other side, so C1 to C3 are jaxgan's networks
mirrored; nobody would notice.
"""

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import nn

from jaxgan.models.latents import parse_codes


class Maxout(nn.Linear):
    """max over `pieces` affine maps, for each of `units`."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__(inputs, units * pieces)
        self.units, self.pieces = units, pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).view(-1, self.units, self.pieces).max(dim=2).values


class Network(nn.Module):
    """A network; `maps` names the layers whose outputs are a flattened map [C, H, W], `reads`
    those whose inputs are."""

    mirrored = False

    def __init__(self) -> None:
        super().__init__()
        self.maps: dict[str, tuple[int, int, int]] = {}
        self.reads: dict[str, tuple[int, int, int]] = {}


def as_float(x: torch.Tensor) -> torch.Tensor:
    """In the type that new parameters have."""
    return x.to(torch.get_default_dtype())


def joined(noise: torch.Tensor, codes: list, condition: torch.Tensor | None) -> torch.Tensor:
    """What a generator is fed, side by side."""
    parts = [noise, *codes] + ([] if condition is None else [condition])
    return torch.cat(parts, 1) if len(parts) > 1 else noise


class MlpGenerator(Network):
    """A and B."""

    def __init__(self, paper: bool) -> None:
        super().__init__()
        sizes = [100, 1200, 1200] if paper else [100, 128]
        self.paper, self.hidden = paper, len(sizes) - 1
        for i, (a, b) in enumerate(itertools.pairwise(sizes), 1):
            setattr(self, f"dense_{i}", nn.Linear(a, b))
        self.image = nn.Linear(sizes[-1], 784)

    def forward(self, noise: torch.Tensor, codes: list, condition: Any) -> torch.Tensor:
        x = noise
        for i in range(1, self.hidden + 1):
            x = getattr(self, f"dense_{i}")(x)
            x = F.relu(x) if self.paper else F.leaky_relu(x, 0.01)
        x = self.image(x)
        return (torch.sigmoid(x) if self.paper else torch.tanh(x)).view(-1, 1, 28, 28)


class MlpDiscriminator(Network):
    """A's."""

    def __init__(self) -> None:
        super().__init__()
        self.dense_1 = nn.Linear(784, 128)
        self.logit = nn.Linear(128, 1)

    def forward(self, x: torch.Tensor, condition: Any) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.leaky_relu(self.dense_1(x.flatten(1)), 0.01)
        return self.logit(x)[:, 0], x


class MaxoutDiscriminator(Network):
    """B's."""

    def __init__(self, input_dropout: float, dropout: float) -> None:
        super().__init__()
        self.maxout_1, self.maxout_2 = Maxout(784, 240, 5), Maxout(240, 240, 5)
        self.logit = nn.Linear(240, 1)
        self.drop_input, self.drop = nn.Dropout(input_dropout), nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, condition: Any) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.maxout_1(self.drop_input(x.flatten(1)))
        x = self.maxout_2(self.drop(x))
        return self.logit(self.drop(x))[:, 0], x


class ConditionalMlpGenerator(Network):
    """D1's."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.noise, self.condition = nn.Linear(100, 200), nn.Linear(10, 1000)
        self.joint, self.image = nn.Linear(1200, 1200), nn.Linear(1200, 784)
        self.drop = nn.Dropout(dropout)

    def forward(self, noise: torch.Tensor, codes: list, condition: torch.Tensor) -> torch.Tensor:
        a = self.drop(F.relu(self.noise(noise)))
        b = self.drop(F.relu(self.condition(condition)))
        x = self.drop(F.relu(self.joint(torch.cat([a, b], 1))))
        return torch.sigmoid(self.image(x)).view(-1, 1, 28, 28)


class ConditionalMlpDiscriminator(Network):
    """D1's."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.image, self.condition = Maxout(784, 240, 5), Maxout(10, 50, 5)
        self.joint, self.logit = Maxout(290, 240, 4), nn.Linear(240, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> tuple:
        image = self.drop(self.image(x.flatten(1)))
        told = self.drop(self.condition(condition))
        x = self.joint(torch.cat([image, told], 1))
        return self.logit(self.drop(x))[:, 0], x


class DcganGenerator(Network):
    """C1 to C3."""

    mirrored = True

    def __init__(self, size: int, channels: int, paper: bool, dropout: float) -> None:
        super().__init__()
        depth = 4 if size == 64 else 3
        wide = 64 * 2**depth
        widths = [wide // 2**i for i in range(depth)] + [channels]
        epsilon, momentum = (1e-5, 0.1) if paper else (1e-3, 0.01)
        self.paper, self.depth, self.wide = paper, depth, wide
        self.maps = {"dense": (wide, 4, 4), "dense_norm": (wide, 4, 4)}
        self.dense = nn.Linear(100, 16 * wide)
        self.dense_norm = nn.BatchNorm1d(16 * wide, epsilon, momentum)
        for i, (a, b) in enumerate(itertools.pairwise(widths), 1):
            if i == 1 and size == 28:
                layer = nn.ConvTranspose2d(a, b, 4)
            elif i == 1 and not paper:
                layer = nn.ConvTranspose2d(a, b, 4, 2, padding=1)
            elif paper:
                layer = nn.ConvTranspose2d(a, b, 5, 2, padding=2, output_padding=1)
            else:
                layer = nn.ConvTranspose2d(a, b, 3, 2, padding=1, output_padding=1)
            setattr(self, "image" if i == depth else f"conv_{i}", layer)
            if i < depth:
                setattr(self, f"conv_{i}_norm", nn.BatchNorm2d(b, epsilon, momentum))
        self.drop = nn.Dropout(dropout)

    def finish(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(F.relu(x) if self.paper else F.leaky_relu(x, 0.01))

    def forward(self, noise: torch.Tensor, codes: list, condition: Any) -> torch.Tensor:
        x = self.finish(self.dense_norm(self.dense(noise))).view(-1, self.wide, 4, 4)
        for i in range(1, self.depth):
            x = getattr(self, f"conv_{i}")(x)
            x = self.finish(getattr(self, f"conv_{i}_norm")(x))
        return torch.tanh(self.image(x))


class DcganDiscriminator(Network):
    """C1 to C3."""

    mirrored = True

    def __init__(self, size: int, channels: int, paper: bool, dropout: float) -> None:
        super().__init__()
        self.depth = 4 if size == 64 else 3
        widths = [channels] + [64 * 2**i for i in range(1, self.depth + 1)]
        epsilon, momentum = (1e-5, 0.1) if paper else (1e-3, 0.01)
        self.slope = 0.2 if paper else 0.01
        for i, (a, b) in enumerate(itertools.pairwise(widths), 1):
            k = 5 if paper else 3
            setattr(self, f"conv_{i}", nn.Conv2d(a, b, k, 2, padding=k // 2))
            if i > 1:
                setattr(self, f"conv_{i}_norm", nn.BatchNorm2d(b, epsilon, momentum))
        self.logit = nn.Linear(16 * widths[-1], 1)
        self.reads = {"logit": (widths[-1], 4, 4)}
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, condition: Any) -> tuple[torch.Tensor, torch.Tensor]:
        for i in range(1, self.depth + 1):
            x = getattr(self, f"conv_{i}")(x)
            if i > 1:
                x = getattr(self, f"conv_{i}_norm")(x)
            x = self.drop(F.leaky_relu(x, self.slope))
        x = x.flatten(1)
        return self.logit(x)[:, 0], x


class FixedScaleNorm(nn.BatchNorm2d):
    """BatchNorm with gamma fixed at 1 (D2)."""

    def __init__(self, features: int) -> None:
        super().__init__(features, 1e-5, 0.1)
        self.weight.requires_grad_(False)


class CganGenerator(Network):
    """D2's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.ConvTranspose2d(106, 384, 4, bias=False)
        self.conv_1_norm = FixedScaleNorm(384)
        self.conv_2 = nn.ConvTranspose2d(384, 192, 3, 2, padding=1, bias=False)
        self.conv_2_norm = FixedScaleNorm(192)
        self.conv_3 = nn.ConvTranspose2d(192, 96, 4, 2, padding=1, bias=False)
        self.conv_3_norm = FixedScaleNorm(96)
        self.image = nn.ConvTranspose2d(96, 1, 4, 2, padding=1, bias=False)

    def forward(self, noise: torch.Tensor, codes: list, condition: torch.Tensor) -> torch.Tensor:
        x = joined(noise, codes, condition)[:, :, None, None]
        x = F.relu(self.conv_1_norm(self.conv_1(x)))
        x = F.relu(self.conv_2_norm(self.conv_2(x)))
        x = F.relu(self.conv_3_norm(self.conv_3(x)))
        return torch.tanh(self.image(x))


class CganDiscriminator(Network):
    """D2's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(11, 24, 3, bias=False)
        self.conv_2 = nn.Conv2d(24, 32, 3, 2, bias=False)
        self.conv_3 = nn.Conv2d(32, 64, 4, bias=False)
        for i, features in enumerate((24, 32, 64), 1):
            setattr(self, f"conv_{i}_norm", FixedScaleNorm(features))
        self.logit = nn.Linear(576, 1)
        self.reads = {"logit": (64, 3, 3)}

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> tuple:
        x = torch.cat([x, condition[:, :, None, None].expand(-1, -1, 28, 28)], 1)
        x = F.elu(self.conv_1_norm(self.conv_1(x)), 0.25)
        x = F.max_pool2d(x, 2)
        x = F.elu(self.conv_2_norm(self.conv_2(x)), 0.25)
        x = F.elu(self.conv_3_norm(self.conv_3(x)), 0.25).flatten(1)
        return self.logit(x)[:, 0], x


class DocumentGenerator(Network):
    """E1's, of the document."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.maps = {"dense": (512, 7, 7), "dense_norm": (512, 7, 7)}
        self.dense = nn.Linear(inputs, 7 * 7 * 512)
        self.dense_norm = nn.BatchNorm1d(7 * 7 * 512, 1e-3, 0.01)
        self.conv = nn.Conv2d(512, 128, 4, padding="same")
        self.conv_norm = nn.BatchNorm2d(128, 1e-3, 0.01)
        self.conv_transpose = nn.ConvTranspose2d(128, 64, 4, 2, padding=1)
        self.conv_transpose_norm = nn.BatchNorm2d(64, 1e-3, 0.01)
        self.image = nn.ConvTranspose2d(64, 1, 4, 2, padding=1)

    def forward(self, noise: torch.Tensor, codes: list, condition: Any) -> torch.Tensor:
        x = self.dense_norm(F.relu(self.dense(joined(noise, codes, None)))).view(-1, 512, 7, 7)
        x = self.conv_norm(F.relu(self.conv(x)))
        x = self.conv_transpose_norm(F.relu(self.conv_transpose(x)))
        return torch.tanh(self.image(x))


class DocumentDiscriminator(Network):
    """E1's, of the document."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(1, 64, 4, 2, padding=1)
        self.conv_2 = nn.Conv2d(64, 128, 4, 2, padding=1)
        self.conv_2_norm = nn.BatchNorm2d(128, 1e-3, 0.01)
        self.conv_3 = nn.Conv2d(128, 256, 4, padding="same")
        self.conv_3_norm = nn.BatchNorm2d(256, 1e-3, 0.01)
        self.logit = nn.Linear(12_544, 1)
        self.reads = {"logit": (256, 7, 7)}

    def forward(self, x: torch.Tensor, condition: Any) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.leaky_relu(self.conv_1(x), 0.1)
        x = self.conv_2_norm(F.leaky_relu(self.conv_2(x), 0.1))
        x = self.conv_3_norm(F.leaky_relu(self.conv_3(x), 0.1)).flatten(1)
        return self.logit(x)[:, 0], x


class PaperGenerator(Network):
    """E's, of the paper."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.maps = {"dense_2": (128, 7, 7), "dense_2_norm": (128, 7, 7)}
        self.dense_1 = nn.Linear(inputs, 1024)
        self.dense_1_norm = nn.BatchNorm1d(1024)
        self.dense_2 = nn.Linear(1024, 7 * 7 * 128)
        self.dense_2_norm = nn.BatchNorm1d(7 * 7 * 128)
        self.conv_transpose = nn.ConvTranspose2d(128, 64, 4, 2, padding=1)
        self.conv_transpose_norm = nn.BatchNorm2d(64)
        self.image = nn.ConvTranspose2d(64, 1, 4, 2, padding=1)

    def forward(self, noise: torch.Tensor, codes: list, condition: Any) -> torch.Tensor:
        x = F.relu(self.dense_1_norm(self.dense_1(joined(noise, codes, None))))
        x = F.relu(self.dense_2_norm(self.dense_2(x))).view(-1, 128, 7, 7)
        x = F.relu(self.conv_transpose_norm(self.conv_transpose(x)))
        return torch.sigmoid(self.image(x))


class PaperDiscriminator(Network):
    """E's, of the paper."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(1, 64, 4, 2, padding=1)
        self.conv_2 = nn.Conv2d(64, 128, 4, 2, padding=1)
        self.conv_2_norm = nn.BatchNorm2d(128)
        self.dense = nn.Linear(7 * 7 * 128, 1024)
        self.reads = {"dense": (128, 7, 7)}
        self.dense_norm = nn.BatchNorm1d(1024)
        self.logit = nn.Linear(1024, 1)

    def forward(self, x: torch.Tensor, condition: Any) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.leaky_relu(self.conv_1(x), 0.1)
        x = F.leaky_relu(self.conv_2_norm(self.conv_2(x)), 0.1)
        x = F.leaky_relu(self.dense_norm(self.dense(x.flatten(1))), 0.1)
        return self.logit(x)[:, 0], x


class Q(Network):
    """The head that reads the codes; a continuous one as mean and logarithm of the deviation."""

    def __init__(self, codes: tuple, document: bool) -> None:
        super().__init__()
        self.codes = codes
        self.dense = nn.Linear(12_544 if document else 1024, 128)
        if document:
            self.reads = {"dense": (256, 7, 7)}
        self.dense_norm = nn.BatchNorm1d(128, *((1e-3, 0.01) if document else (1e-5, 0.1)))
        for i, code in enumerate(codes):
            if code.categorical:
                setattr(self, f"code_{i}_logits", nn.Linear(128, code.values))
            else:
                setattr(self, f"code_{i}_mean", nn.Linear(128, 1))
                setattr(self, f"code_{i}_deviation", nn.Linear(128, 1))

    def forward(self, features: torch.Tensor) -> list[torch.Tensor]:
        x = F.leaky_relu(self.dense_norm(self.dense(features)), 0.1)
        return [
            getattr(self, f"code_{i}_logits")(x)
            if code.categorical
            else torch.cat(
                [getattr(self, f"code_{i}_mean")(x), getattr(self, f"code_{i}_deviation")(x)], 1
            )
            for i, code in enumerate(self.codes)
        ]


def networks(config: ConfigDict, channels: int) -> tuple[Network, Network, Network | None]:
    """Generator, discriminator and Q of a config's system."""
    paper, size = config.networks == "paper", config.dataset.size
    of_g, of_d = config.generator.dropout, config.discriminator.dropout
    if config.system == "gan":
        of_input = config.discriminator.input_dropout
        d = MaxoutDiscriminator(of_input, of_d) if paper else MlpDiscriminator()
        return MlpGenerator(paper), d, None
    if config.system == "dcgan":
        g = DcganGenerator(size, channels, paper, of_g)
        return g, DcganDiscriminator(size, channels, paper, of_d), None
    if config.system == "cgan":
        if paper:
            return ConditionalMlpGenerator(of_g), ConditionalMlpDiscriminator(of_d), None
        return CganGenerator(), CganDiscriminator(), None
    codes = parse_codes(config.latent.codes)
    inputs = config.latent.noise + sum(code.values if code.categorical else 1 for code in codes)
    q = Q(codes, not paper)
    if paper:
        return PaperGenerator(inputs), PaperDiscriminator(), q
    return DocumentGenerator(inputs), DocumentDiscriminator(), q


def count(network: nn.Module) -> int:
    """How many parameters learn."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
