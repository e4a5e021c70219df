"""A training step in PyTorch, as a PyTorch user would write it: fused or foreach optimisers, the
network that is not updated frozen, and images generated once if both updates use the same ones.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import nn
from torch_networks import as_float, networks

from jaxgan.models.latents import parse_codes

Draw = tuple[torch.Tensor, list[torch.Tensor], torch.Tensor | None]


class MomentumDescent(torch.optim.Optimizer):
    """The paper's gradient descent of gan and cgan: a falling rate and a rising momentum."""

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
    """The optimiser of one network's group of keys."""
    if settings.optimizer == "adam":
        betas = (settings.beta1, settings.beta2)
        return torch.optim.Adam(params, settings.learning_rate, betas, settings.epsilon, fused=True)
    if settings.optimizer == "adadelta":
        return torch.optim.Adadelta(
            params, settings.learning_rate, settings.rho, settings.epsilon, foreach=True
        )
    return MomentumDescent(params, settings)


def cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    """The mean sigmoid cross entropy of logits and one target for all."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


class Trainer:
    """The networks, their optimisers, and the training step.

    Args:
      config: the system's config.
      channels: number of channels of its images.
      device: the device that trains.
      compiled: the mode of torch.compile, or None for eager execution.
      channels_last: whether images and kernels are in memory as NHWC.
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
        nets = [n and n.to(device) for n in networks(config, channels)]
        if channels_last:
            nets = [n and n.to(memory_format=torch.channels_last) for n in nets]
        self.generator, self.discriminator, self.q = nets
        self.low = 0.0 if config.networks == "paper" and config.system != "dcgan" else -1.0
        self.by_document = config.information == "document"
        g = [p for p in self.generator.parameters() if p.requires_grad]
        d = [p for p in self.discriminator.parameters() if p.requires_grad]
        q = [] if self.q is None else list(self.q.parameters())
        # The parameters of each update; Q's belong to the generator's or the discriminator's.
        self.g_params, self.d_params = (g + q, d) if self.by_document else (g, d + q)
        self.g_optimizer = optimizer(config.generator, self.g_params)
        self.d_optimizer = optimizer(config.discriminator, self.d_params)
        self.frozen = d if self.by_document else d + q
        if compiled is not None:
            for net in filter(None, nets):
                net.compile(mode=compiled)

    def draw(self, n: int, labels: torch.Tensor | None) -> Draw:
        """Samples noise, codes and conditions for n images."""
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
        """Converts uint8 [B, C, H, W] to the networks' range."""
        return as_float(images) / 255 * (1 - self.low) + self.low

    def step(
        self, images: torch.Tensor, labels: torch.Tensor | None, draws: list[Draw] | None = None
    ) -> dict[str, torch.Tensor]:
        """One step.

        Args:
          images, labels: the discriminator's batch: uint8 [B, C, H, W], and int [B] or None.
          draws: the generator's inputs in the order of use, or None to sample them.

        Returns:
          The losses.
        """
        config, losses = self.config, {}
        b, real, condition = config.batch_size, self.to_network(images), None
        if config.condition.kind == "label":
            condition = as_float(F.one_hot(labels, 10))
        else:
            labels = None
        given = iter(draws or ())
        fresh = config.fresh_noise and config.order == "discriminator_first"
        n = len(real) if fresh else b
        draw = next(given) if draws else self.draw(n, labels)
        if config.order == "generator_first":
            self.generator_step(self.generator(*draw), draw, losses)
            with torch.no_grad():
                fake = self.generator(*draw)
            self.discriminator_steps(real, condition, fake, draw, losses)
        elif config.order == "simultaneous":
            fake = self.generator(*draw)
            self.d_optimizer.zero_grad()
            self.discriminator_loss(real, condition, fake.detach(), draw, losses).backward()
            self.generator_step(fake, draw, losses)
            self.d_optimizer.step()
        elif fresh:
            with torch.no_grad():
                fake = self.generator(*draw)
            self.discriminator_steps(real, condition, fake, draw, losses)
            draw = next(given) if draws else self.draw(b, labels)
            self.generator_step(self.generator(*draw), draw, losses)
        else:
            fake = self.generator(*draw)
            self.discriminator_steps(real, condition, fake.detach(), draw, losses)
            self.generator_step(fake, draw, losses)
        return losses

    def discriminator_steps(
        self, real: Any, condition: Any, fake: torch.Tensor, draw: Draw, losses: dict
    ) -> None:
        """One update on both batches together, or one on each, by `discriminator_batches`."""
        for part in self.config.discriminator_batches.split("_"):
            self.d_optimizer.zero_grad()
            some_real = None if part == "fake" else real
            some_fake = None if part == "real" else fake
            self.discriminator_loss(some_real, condition, some_fake, draw, losses).backward()
            if self.config.discriminator.clip:
                nn.utils.clip_grad_value_(self.d_params, self.config.discriminator.clip)
            self.d_optimizer.step()

    def discriminator_loss(
        self, real: Any, condition: Any, fake: Any, draw: Draw, losses: dict
    ) -> torch.Tensor:
        config, total = self.config, torch.zeros((), device=self.device)
        if real is not None:
            logits, _ = self.discriminator(real, condition)
            loss = config.real_factor * cross_entropy(logits, config.real_target)
            losses["loss/discriminator_real"] = loss.detach()
            total = total + loss
        if fake is not None:
            logits, features = self.discriminator(fake, draw[2])
            loss = config.fake_factor * cross_entropy(logits, config.fake_target)
            losses["loss/discriminator_fake"] = loss.detach()
            total = total + loss
            if self.q is not None and not self.by_document:
                total = total + self.information(features, draw[1])
        return total

    def generator_step(self, fake: torch.Tensor, draw: Draw, losses: dict) -> None:
        for p in self.frozen:
            p.requires_grad_(False)
        self.g_optimizer.zero_grad()
        logits, features = self.discriminator(fake, draw[2])
        loss = self.config.generator_factor * cross_entropy(logits, self.config.generator_target)
        losses["loss/generator"] = loss.detach()
        if self.q is not None:
            term = self.information(features, draw[1])
            losses["loss/information"] = term.detach()
            loss = loss + term
        loss.backward()
        if self.config.generator.clip:
            nn.utils.clip_grad_value_(self.g_params, self.config.generator.clip)
        self.g_optimizer.step()
        for p in self.frozen:
            p.requires_grad_(True)

    def information(self, features: torch.Tensor, codes: list[torch.Tensor]) -> torch.Tensor:
        """The weighted information term."""
        total = torch.zeros((), device=self.device)
        for code, value, output in zip(self.codes, codes, self.q(features), strict=True):
            if code.categorical:
                loss = self.config.lambda_categorical * F.cross_entropy(output, value)
            else:
                mean, log_deviation = output[:, :1], output[:, 1:]
                z = (value - mean) * torch.exp(-log_deviation)
                loss = z.square() / 2 + log_deviation + math.log(2 * math.pi) / 2
                loss = self.config.lambda_continuous * loss.mean()
            total = total + loss
        return total
