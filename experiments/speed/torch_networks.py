"""The networks of `systems.py` in PyTorch, as a PyTorch user would write them, in NCHW.

Layers have the names of jaxgan's layers, by which `load_parameters` finds them. PyTorch and XLA pad
the odd pixel of a strided convolution on opposite sides, so the DCGAN's networks are mirror images
of jaxgan's.
"""

import itertools
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import nn

from jaxgan.models.latents import Code, parse_codes

# Epsilon and momentum of BatchNorm, as PyTorch and Keras have them.
TORCH_NORM, KERAS_NORM = (1e-5, 0.1), (1e-3, 0.01)


class Maxout(nn.Linear):
    """The maximum over `pieces` affine maps, for each of `units` units."""

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__(inputs, units * pieces)
        self.units, self.pieces = units, pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).view(-1, self.units, self.pieces).max(dim=2).values


class Network(nn.Module):
    """A network. `maps` holds the shape [C, H, W] of each layer whose output is a flattened feature
    map, and `reads` that of each layer whose input is."""

    mirrored = False
    maps: ClassVar[dict[str, tuple[int, int, int]]] = {}
    reads: ClassVar[dict[str, tuple[int, int, int]]] = {}


def as_float(x: torch.Tensor) -> torch.Tensor:
    """Converts to the dtype of new parameters."""
    return x.to(torch.get_default_dtype())


def concatenate(noise: torch.Tensor, codes: list, condition: torch.Tensor | None) -> torch.Tensor:
    """Concatenates the inputs of a generator."""
    parts = [noise, *codes] + ([] if condition is None else [condition])
    return torch.cat(parts, 1) if len(parts) > 1 else noise


class MlpGenerator(Network):
    """The generator of gan:mnist and gan:mnist,paper."""

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
    """The discriminator of gan:mnist."""

    def __init__(self) -> None:
        super().__init__()
        self.dense_1 = nn.Linear(784, 128)
        self.logit = nn.Linear(128, 1)

    def forward(self, x: torch.Tensor, condition: Any) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.leaky_relu(self.dense_1(x.flatten(1)), 0.01)
        return self.logit(x)[:, 0], x


class MaxoutDiscriminator(Network):
    """The discriminator of gan:mnist,paper."""

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
    """The generator of cgan:mnist,mlp."""

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
    """The discriminator of cgan:mnist,mlp."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.image, self.condition = Maxout(784, 240, 5), Maxout(10, 50, 5)
        self.joint, self.logit = Maxout(290, 240, 4), nn.Linear(240, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> tuple:
        a = self.drop(self.image(x.flatten(1)))
        b = self.drop(self.condition(condition))
        x = self.joint(torch.cat([a, b], 1))
        return self.logit(self.drop(x))[:, 0], x


class DcganGenerator(Network):
    """The generator of dcgan:mnist, dcgan:cifar10 and dcgan:size=64."""

    mirrored = True

    def __init__(self, size: int, channels: int, paper: bool, dropout: float) -> None:
        super().__init__()
        depth = 4 if size == 64 else 3
        wide = 64 * 2**depth
        widths = [wide // 2**i for i in range(depth)] + [channels]
        norm = TORCH_NORM if paper else KERAS_NORM
        self.paper, self.depth, self.wide = paper, depth, wide
        self.maps = {"dense": (wide, 4, 4), "dense_norm": (wide, 4, 4)}
        self.dense = nn.Linear(100, 16 * wide)
        self.dense_norm = nn.BatchNorm1d(16 * wide, *norm)
        for i, (a, b) in enumerate(itertools.pairwise(widths), 1):
            if i == 1 and size == 28:
                layer = nn.ConvTranspose2d(a, b, 4)
            elif i == 1 and not paper:
                layer = nn.ConvTranspose2d(a, b, 4, 2, padding=1)
            else:
                k = 5 if paper else 3
                layer = nn.ConvTranspose2d(a, b, k, 2, padding=k // 2, output_padding=1)
            setattr(self, "image" if i == depth else f"conv_{i}", layer)
            if i < depth:
                setattr(self, f"conv_{i}_norm", nn.BatchNorm2d(b, *norm))
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
    """The discriminator of dcgan:mnist, dcgan:cifar10 and dcgan:size=64."""

    mirrored = True

    def __init__(self, size: int, channels: int, paper: bool, dropout: float) -> None:
        super().__init__()
        self.depth = 4 if size == 64 else 3
        widths = [channels] + [64 * 2**i for i in range(1, self.depth + 1)]
        self.slope, k = (0.2, 5) if paper else (0.01, 3)
        for i, (a, b) in enumerate(itertools.pairwise(widths), 1):
            setattr(self, f"conv_{i}", nn.Conv2d(a, b, k, 2, padding=k // 2))
            if i > 1:
                norm = nn.BatchNorm2d(b, *(TORCH_NORM if paper else KERAS_NORM))
                setattr(self, f"conv_{i}_norm", norm)
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


def fixed_scale_norm(features: int) -> nn.BatchNorm2d:
    """BatchNorm with gamma fixed at 1, of cgan:mnist."""
    norm = nn.BatchNorm2d(features, *TORCH_NORM)
    norm.weight.requires_grad_(False)
    return norm


class CganGenerator(Network):
    """The generator of cgan:mnist."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.ConvTranspose2d(106, 384, 4, bias=False)
        self.conv_2 = nn.ConvTranspose2d(384, 192, 3, 2, padding=1, bias=False)
        self.conv_3 = nn.ConvTranspose2d(192, 96, 4, 2, padding=1, bias=False)
        self.image = nn.ConvTranspose2d(96, 1, 4, 2, padding=1, bias=False)
        for i, features in enumerate((384, 192, 96), 1):
            setattr(self, f"conv_{i}_norm", fixed_scale_norm(features))

    def forward(self, noise: torch.Tensor, codes: list, condition: torch.Tensor) -> torch.Tensor:
        x = concatenate(noise, codes, condition)[:, :, None, None]
        x = F.relu(self.conv_1_norm(self.conv_1(x)))
        x = F.relu(self.conv_2_norm(self.conv_2(x)))
        x = F.relu(self.conv_3_norm(self.conv_3(x)))
        return torch.tanh(self.image(x))


class CganDiscriminator(Network):
    """The discriminator of cgan:mnist."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(11, 24, 3, bias=False)
        self.conv_2 = nn.Conv2d(24, 32, 3, 2, bias=False)
        self.conv_3 = nn.Conv2d(32, 64, 4, bias=False)
        for i, features in enumerate((24, 32, 64), 1):
            setattr(self, f"conv_{i}_norm", fixed_scale_norm(features))
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
    """The generator of infogan:mnist,document."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.maps = {"dense": (512, 7, 7), "dense_norm": (512, 7, 7)}
        self.dense = nn.Linear(inputs, 7 * 7 * 512)
        self.dense_norm = nn.BatchNorm1d(7 * 7 * 512, *KERAS_NORM)
        self.conv = nn.Conv2d(512, 128, 4, padding="same")
        self.conv_norm = nn.BatchNorm2d(128, *KERAS_NORM)
        self.conv_transpose = nn.ConvTranspose2d(128, 64, 4, 2, padding=1)
        self.conv_transpose_norm = nn.BatchNorm2d(64, *KERAS_NORM)
        self.image = nn.ConvTranspose2d(64, 1, 4, 2, padding=1)

    def forward(self, noise: torch.Tensor, codes: list, condition: Any) -> torch.Tensor:
        x = concatenate(noise, codes, None)
        x = self.dense_norm(F.relu(self.dense(x))).view(-1, 512, 7, 7)
        x = self.conv_norm(F.relu(self.conv(x)))
        x = self.conv_transpose_norm(F.relu(self.conv_transpose(x)))
        return torch.tanh(self.image(x))


class DocumentDiscriminator(Network):
    """The discriminator of infogan:mnist,document."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(1, 64, 4, 2, padding=1)
        self.conv_2 = nn.Conv2d(64, 128, 4, 2, padding=1)
        self.conv_2_norm = nn.BatchNorm2d(128, *KERAS_NORM)
        self.conv_3 = nn.Conv2d(128, 256, 4, padding="same")
        self.conv_3_norm = nn.BatchNorm2d(256, *KERAS_NORM)
        self.logit = nn.Linear(12_544, 1)
        self.reads = {"logit": (256, 7, 7)}

    def forward(self, x: torch.Tensor, condition: Any) -> tuple[torch.Tensor, torch.Tensor]:
        x = F.leaky_relu(self.conv_1(x), 0.1)
        x = self.conv_2_norm(F.leaky_relu(self.conv_2(x), 0.1))
        x = self.conv_3_norm(F.leaky_relu(self.conv_3(x), 0.1)).flatten(1)
        return self.logit(x)[:, 0], x


class PaperGenerator(Network):
    """The generator of infogan:mnist,paper."""

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
        x = F.relu(self.dense_1_norm(self.dense_1(concatenate(noise, codes, None))))
        x = F.relu(self.dense_2_norm(self.dense_2(x))).view(-1, 128, 7, 7)
        x = F.relu(self.conv_transpose_norm(self.conv_transpose(x)))
        return torch.sigmoid(self.image(x))


class PaperDiscriminator(Network):
    """The discriminator of infogan:mnist,paper."""

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
    """The head that predicts the codes: logits, or mean and logarithm of the deviation [B, 2]."""

    def __init__(self, codes: tuple, document: bool) -> None:
        super().__init__()
        self.codes = codes
        self.dense = nn.Linear(12_544 if document else 1024, 128)
        if document:
            self.reads = {"dense": (256, 7, 7)}
        self.dense_norm = nn.BatchNorm1d(128, *(KERAS_NORM if document else TORCH_NORM))
        for i, code in enumerate(codes):
            for name in self.outputs(code):
                width = code.values if code.categorical else 1
                setattr(self, f"code_{i}_{name}", nn.Linear(128, width))

    @staticmethod
    def outputs(code: Code) -> tuple[str, ...]:
        return ("logits",) if code.categorical else ("mean", "deviation")

    def forward(self, features: torch.Tensor) -> list[torch.Tensor]:
        x = F.leaky_relu(self.dense_norm(self.dense(features)), 0.1)
        return [
            torch.cat([getattr(self, f"code_{i}_{name}")(x) for name in self.outputs(code)], 1)
            for i, code in enumerate(self.codes)
        ]


def networks(config: ConfigDict, channels: int) -> tuple[Network, Network, Network | None]:
    """Generator, discriminator and Q of a config's system."""
    paper, size = config.networks == "paper", config.dataset.size
    g_dropout, d_dropout = config.generator.dropout, config.discriminator.dropout
    if config.system == "gan":
        input_dropout = config.discriminator.input_dropout
        d = MaxoutDiscriminator(input_dropout, d_dropout) if paper else MlpDiscriminator()
        return MlpGenerator(paper), d, None
    if config.system == "dcgan":
        g = DcganGenerator(size, channels, paper, g_dropout)
        return g, DcganDiscriminator(size, channels, paper, d_dropout), None
    if config.system == "cgan":
        if paper:
            return ConditionalMlpGenerator(g_dropout), ConditionalMlpDiscriminator(d_dropout), None
        return CganGenerator(), CganDiscriminator(), None
    codes = parse_codes(config.latent.codes)
    inputs = config.latent.noise + sum(code.values if code.categorical else 1 for code in codes)
    q = Q(codes, not paper)
    if paper:
        return PaperGenerator(inputs), PaperDiscriminator(), q
    return DocumentGenerator(inputs), DocumentDiscriminator(), q


def count(network: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
