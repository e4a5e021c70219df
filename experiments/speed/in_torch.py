"""SPEC's systems in PyTorch, as a PyTorch user would write them: networks in NCHW, fused or
foreach optimisers, the player that does not learn frozen, generated images made once where both
updates look at the same.

A layer has the name that it has in jaxgan's networks, so that `load_parameters` finds it. PyTorch
pads the odd pixel of a strided convolution on the other side, so C1 to C3 are jaxgan's networks
mirrored; nobody would notice.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import nn

from jaxgan.latents import parse_codes

Draw = tuple[torch.Tensor, list[torch.Tensor], torch.Tensor | None]


# --- Networks


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


# --- Parameters from jaxgan's


def load_parameters(network: Network, params: dict[str, Any]) -> None:
    """Takes over the parameters of jaxgan's network."""
    for name, leaves in params.items():
        layer = network.get_submodule(name)
        for leaf, value in leaves.items():
            value = np.asarray(value)
            at = "bias" if leaf == "bias" else "weight"
            tensor = torch.tensor(_as_torch(network, name, layer, leaf, value))
            with torch.no_grad():
                getattr(layer, at).copy_(tensor)


def parameters_like(network: Network, params: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """For each of jaxgan's parameters its name, its value laid out as here, and this network's."""
    for name, leaves in params.items():
        layer = network.get_submodule(name)
        for leaf, value in leaves.items():
            here = getattr(layer, "bias" if leaf == "bias" else "weight")
            value = _as_torch(network, name, layer, leaf, np.asarray(value))
            yield f"{name}/{leaf}", value, here.detach().numpy()


def _as_torch(network: Network, name: str, layer: Any, leaf: str, x: np.ndarray) -> np.ndarray:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and leaf == "kernel":
        # A transposed convolution is the gradient of one with the kernel turned round.
        if network.mirrored != isinstance(layer, nn.ConvTranspose2d):
            x = x[::-1, ::-1]
        order = (2, 3, 0, 1) if isinstance(layer, nn.ConvTranspose2d) else (3, 2, 0, 1)
        return np.ascontiguousarray(x.transpose(order))
    if name in network.maps:
        x = _map_order(x, network.maps[name], network.mirrored)
    if name in network.reads and leaf == "kernel":
        x = _map_order(x.T, network.reads[name], network.mirrored).T
    return np.ascontiguousarray(x.T if leaf == "kernel" else x)


def _map_order(x: np.ndarray, shape: tuple[int, int, int], mirrored: bool) -> np.ndarray:
    """The last axis from [H, W, C] order to [C, H, W]."""
    c, h, w = shape
    as_map = x.reshape(*x.shape[:-1], h, w, c)
    if mirrored:
        as_map = as_map[..., ::-1, ::-1, :]
    return np.moveaxis(as_map, -1, -3).reshape(x.shape)


def count(network: nn.Module) -> int:
    """How many parameters learn."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


# --- Optimisers


class MomentumDescent(torch.optim.Optimizer):
    """Gradient descent whose rate falls and whose momentum rises at each update (B, D1)."""

    def __init__(self, params: Any, settings: ConfigDict) -> None:
        super().__init__(list(params), {})
        self.settings, self.updates = settings, 0
        self.velocity = [torch.zeros_like(p) for p in self.param_groups[0]["params"]]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        s, params = self.settings, self.param_groups[0]["params"]
        rate = max(s.learning_rate * math.exp(-self.updates * math.log(s.rate_divisor)), 0)
        rate = max(rate, s.lowest_rate)
        share = min(self.updates / max(s.momentum_steps, 1), 1)
        torch._foreach_mul_(self.velocity, s.momentum + (s.final_momentum - s.momentum) * share)
        torch._foreach_add_(self.velocity, [p.grad for p in params], alpha=-rate)
        torch._foreach_add_(params, self.velocity)
        self.updates += 1


def optimizer(settings: ConfigDict, params: Any) -> torch.optim.Optimizer:
    """The optimiser that one player's group of keys asks for."""
    if settings.optimizer == "adam":
        betas = (settings.beta1, settings.beta2)
        return torch.optim.Adam(params, settings.learning_rate, betas, settings.epsilon, fused=True)
    if settings.optimizer == "adadelta":
        return torch.optim.Adadelta(
            params, settings.learning_rate, settings.rho, settings.epsilon, foreach=True
        )
    return MomentumDescent(params, settings)


# --- The step


class Trainer:
    """The networks, their optimisers, and a step by the config's rules.

    Args:
      config: of the system.
      channels: of its images.
      device: where it trains.
      compiled: None, or the mode of torch.compile.
      channels_last: whether images and kernels lie in memory as NHWC.
    """

    def __init__(
        self,
        config: ConfigDict,
        channels: int,
        device: str = "cpu",
        compiled: str | None = None,
        channels_last: bool = False,
    ) -> None:
        self.config, self.device = config, device
        self.codes = parse_codes(config.latent.codes)
        nets = [n.to(device) if n is not None else None for n in networks(config, channels)]
        if channels_last:
            nets = [n and n.to(memory_format=torch.channels_last) for n in nets]
        self.generator, self.discriminator, self.q = nets
        self.low = 0.0 if config.networks == "paper" and config.system != "dcgan" else -1.0
        self.by_document = config.information == "document"
        of_g = [p for p in self.generator.parameters() if p.requires_grad]
        of_d = [p for p in self.discriminator.parameters() if p.requires_grad]
        self.of_q = [] if self.q is None else list(self.q.parameters())
        self.of_d = of_d
        self.by_g = of_g + (self.of_q if self.by_document else [])
        self.by_d = of_d + ([] if self.by_document else self.of_q)
        self.g_optimizer = optimizer(config.generator, self.by_g)
        self.d_optimizer = optimizer(config.discriminator, self.by_d)
        if compiled is not None:
            for net in filter(None, nets):
                net.compile(mode=compiled)

    def draw(self, n: int, labels: torch.Tensor | None) -> Draw:
        """Noise, codes and conditions of n images."""
        latent = self.config.latent
        if latent.noise_prior == "normal":
            noise = torch.randn(n, latent.noise, device=self.device)
        else:
            noise = torch.rand(n, latent.noise, device=self.device)
            noise = noise * 2 - 1 if latent.noise_prior == "uniform" else noise
        codes = []
        for code in self.codes:
            if code.categorical:
                drawn = torch.randint(code.values, (n,), device=self.device)
                codes.append(as_float(F.one_hot(drawn, code.values)))
            else:
                codes.append(torch.rand(n, 1, device=self.device) * 2 - 1)
        if labels is None:
            return noise, codes, None
        if self.config.condition.prior == "uniform":
            labels = torch.randint(10, (n,), device=self.device)
        return noise, codes, as_float(F.one_hot(labels, 10))

    def to_network(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 [B, C, H, W] in the networks' range."""
        return as_float(images) / 255 * (1 - self.low) + self.low

    def step(
        self, images: torch.Tensor, labels: torch.Tensor | None, draws: list[Draw] | None = None
    ) -> dict[str, torch.Tensor]:
        """One step on real images, uint8 [B, C, H, W], and their labels [B] (or None).

        Args:
          images, labels: of the discriminator's batch.
          draws: what the images are made of, in the order of use; None draws afresh.
        """
        config, losses = self.config, {}
        b = config.batch_size
        real = self.to_network(images)
        told = None
        if config.condition.kind == "label":
            told = as_float(F.one_hot(labels, 10))
        else:
            labels = None
        drawn = iter(draws or ())

        def next_draw(n: int) -> Draw:
            return next(drawn) if draws else self.draw(n, labels)

        if config.order == "generator_first":
            draw = next_draw(b)
            self.generator_step(self.generator(*draw), draw, losses)
            with torch.no_grad():
                fake = self.generator(*draw)
            self.discriminator_steps(real, told, fake, draw, losses)
        elif config.order == "simultaneous":
            draw = next_draw(b)
            fake = self.generator(*draw)
            self.d_optimizer.zero_grad()
            self.discriminator_loss(real, told, fake.detach(), draw, losses).backward()
            self.generator_step(fake, draw, losses)
            self.d_optimizer.step()
        elif config.fresh_noise:
            draw = next_draw(len(real))
            with torch.no_grad():
                fake = self.generator(*draw)
            self.discriminator_steps(real, told, fake, draw, losses)
            draw = next_draw(b)
            self.generator_step(self.generator(*draw), draw, losses)
        else:
            draw = next_draw(b)
            fake = self.generator(*draw)
            self.discriminator_steps(real, told, fake.detach(), draw, losses)
            self.generator_step(fake, draw, losses)
        return losses

    def discriminator_steps(
        self, real: Any, told: Any, fake: torch.Tensor, draw: Draw, losses: dict
    ) -> None:
        """One update on both batches, or two, as `discriminator_batches` has it."""
        for part in self.config.discriminator_batches.split("_"):
            self.d_optimizer.zero_grad()
            some_real = None if part == "fake" else real
            some_fake = None if part == "real" else fake
            self.discriminator_loss(some_real, told, some_fake, draw, losses).backward()
            if self.config.discriminator.clip:
                nn.utils.clip_grad_value_(self.by_d, self.config.discriminator.clip)
            self.d_optimizer.step()

    def discriminator_loss(
        self, real: Any, told: Any, fake: Any, draw: Draw, losses: dict
    ) -> torch.Tensor:
        config, total = self.config, torch.zeros((), device=self.device)
        if real is not None:
            logits, _ = self.discriminator(real, told)
            targets = torch.full_like(logits, config.real_target)
            loss = config.real_factor * F.binary_cross_entropy_with_logits(logits, targets)
            losses["loss/discriminator_real"] = loss.detach()
            total = total + loss
        if fake is not None:
            logits, features = self.discriminator(fake, draw[2])
            targets = torch.full_like(logits, config.fake_target)
            loss = config.fake_factor * F.binary_cross_entropy_with_logits(logits, targets)
            losses["loss/discriminator_fake"] = loss.detach()
            total = total + loss
            if self.q is not None and not self.by_document:
                total = total + self.information(features, draw[1])
        return total

    def generator_step(self, fake: torch.Tensor, draw: Draw, losses: dict) -> None:
        frozen = self.of_d + ([] if self.by_document else self.of_q)
        for p in frozen:
            p.requires_grad_(False)
        self.g_optimizer.zero_grad()
        logits, features = self.discriminator(fake, draw[2])
        targets = torch.full_like(logits, self.config.generator_target)
        loss = self.config.generator_factor * F.binary_cross_entropy_with_logits(logits, targets)
        losses["loss/generator"] = loss.detach()
        if self.q is not None:
            term = self.information(features, draw[1])
            losses["loss/information"] = term.detach()
            loss = loss + term
        loss.backward()
        if self.config.generator.clip:
            nn.utils.clip_grad_value_(self.by_g, self.config.generator.clip)
        self.g_optimizer.step()
        for p in frozen:
            p.requires_grad_(True)

    def information(self, features: torch.Tensor, codes: list[torch.Tensor]) -> torch.Tensor:
        """The information term, weighted."""
        total = torch.zeros((), device=self.device)
        for code, value, read in zip(self.codes, codes, self.q(features), strict=True):
            if code.categorical:
                loss = self.config.lambda_categorical * F.cross_entropy(read, value)
            else:
                mean, log_deviation = read[:, :1], read[:, 1:]
                z = (value - mean) * torch.exp(-log_deviation)
                loss = z.square() / 2 + log_deviation + math.log(2 * math.pi) / 2
                loss = self.config.lambda_continuous * loss.mean()
            total = total + loss
        return total
