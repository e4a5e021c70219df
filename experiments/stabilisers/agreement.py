"""Whether the discriminator's update under each stabiliser computes what PyTorch computes, in
float64: the losses and every gradient, from the same weights, images and random numbers.

python experiments/stabilisers/agreement.py

PyTorch's side has its own layers: `GroupNorm` of one group for LayerNorm,
`torch.nn.utils.spectral_norm`, and gradients of gradients by `torch.autograd.grad`.
"""

import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from ml_collections import ConfigDict

import jaxgan.config as config_lib
from jaxgan.common.rng import stream
from jaxgan.config.files import from_file
from jaxgan.training.gan import Gan, build_gan
from jaxgan.training.state import GanState, initialise
from jaxgan.training.step import discriminator_update
from jaxgan.training.terms import Examples

TOLERANCE = 1e-9
SIZE, CHANNELS, BATCH = 32, 3, 6
# Plain gradient descent of rate 1 shows the gradient as the parameters' difference.
SMALL = {
    "width": 0.1,
    "dtype": "float64",
    "dataset.size": SIZE,
    "batch_size": BATCH,
    "discriminator.optimizer": "sgd",
    "discriminator.learning_rate": 1.0,
    "discriminator.momentum": 0.0,
    "discriminator.final_momentum": 0.0,
}
CASES = {
    "WGAN-GP": ("wgan_gp", {}),
    "SNGAN": ("sngan", {}),
    "R1": ("paper", {"penalty.kind": "r1", "discriminator.norm": "none"}),
    "R2": ("paper", {"penalty.kind": "r2", "discriminator.norm": "none"}),
    "R1 with BatchNorm": ("paper", {"penalty.kind": "r1"}),
}


class Discriminator(torch.nn.Module):
    """DCGAN's discriminator for 32x32 images, with the weights of a jaxgan state."""

    def __init__(self, config: ConfigDict, state: GanState) -> None:
        super().__init__()
        params, stats = state.discriminator.params, state.discriminator.batch_stats
        spectral = config.discriminator.norm == "spectral"
        norms = {
            "source": functools.partial(torch.nn.BatchNorm2d, eps=1e-5),
            "layer": lambda features: torch.nn.GroupNorm(1, features, eps=1e-5),
        }
        norm = norms.get(config.discriminator.norm, lambda features: torch.nn.Identity())
        self.convs, self.norms = torch.nn.ModuleList(), torch.nn.ModuleList()
        for i in range(1, 4):
            kernel = params[f"conv_{i}"]["kernel"]
            conv = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3], 5, 2)
            layer = norm(kernel.shape[3]) if i > 1 else torch.nn.Identity()
            self.convs.append(_filled(conv, params, stats, f"conv_{i}", spectral))
            self.norms.append(layer)
            if len(list(layer.parameters())):
                own = params[f"conv_{i}_norm"]
                _fill(layer.weight, own["scale"])
                _fill(layer.bias, own["bias"])
        logit = torch.nn.Linear(params["logit"]["kernel"].shape[0], 1)
        self.logit = _filled(logit, params, stats, "logit", spectral)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            # SAME with stride 2 and an even size pads one more on the right.
            x = F.leaky_relu(norm(conv(F.pad(x, (1, 2, 1, 2)))), 0.2)
        return self.logit(x.permute(0, 2, 3, 1).flatten(1))[:, 0]

    def gradients(self) -> dict[str, np.ndarray]:
        """The gradient of each parameter, by jaxgan's name and in its layout."""
        found = {}
        layers = {f"conv_{i}": conv for i, conv in enumerate(self.convs, 1)} | {"logit": self.logit}
        layers |= {f"conv_{i}_norm": norm for i, norm in enumerate(self.norms, 1)}
        for name, layer in layers.items():
            weight = getattr(layer, "weight_orig", getattr(layer, "weight", None))
            if weight is None:
                continue
            kind = "scale" if name.endswith("norm") else "kernel"
            found[f"{name}/{kind}"] = _to_flax(weight.grad.numpy())
            found[f"{name}/bias"] = layer.bias.grad.numpy()
        return found


def _to_flax(weight: np.ndarray) -> np.ndarray:
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T


def _fill(parameter: torch.Tensor, value: Any) -> None:
    with torch.no_grad():
        parameter.copy_(torch.tensor(np.asarray(value)))


def _filled(layer: Any, params: Any, stats: Any, name: str, spectral: bool) -> Any:
    kernel = np.asarray(params[name]["kernel"])
    _fill(layer.weight, kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T)
    _fill(layer.bias, params[name]["bias"])
    if spectral:
        layer = torch.nn.utils.spectral_norm(layer)
        _fill(layer.weight_u, stats[name]["u"])
    return layer


def losses_in_torch(
    config: ConfigDict, network: Discriminator, real: np.ndarray, fake: np.ndarray, share: Any
) -> dict[str, torch.Tensor]:
    """The two adversarial losses and the penalty, from the papers' formulas."""
    x, generated = (torch.tensor(images.transpose(0, 3, 1, 2)) for images in (real, fake))
    on_real, on_fake = network(x), network(generated)
    pairs = {
        "wasserstein": (-on_real, on_fake),
        "hinge": (F.relu(1 - on_real), F.relu(1 + on_fake)),
        "non_saturating": (F.softplus(-on_real), F.softplus(on_fake)),
    }
    found = {
        f"loss/discriminator_{name}": value.mean()
        for name, value in zip(("real", "fake"), pairs[config.loss], strict=True)
    }
    kind = config.penalty.kind
    if kind == "none":
        return found
    at = {"r1": x, "r2": generated, "gradient": x + torch.tensor(share) * (generated - x)}[kind]
    at = at.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(at).sum(), at, create_graph=True)
    squared = gradient.flatten(1).square().sum(1)
    values = (squared.sqrt() - 1).square() if kind == "gradient" else squared / 2
    return found | {"loss/penalty": config.penalty.weight * values.mean()}


def compare(arg: str, values: dict[str, Any]) -> tuple[float, float]:
    """The largest difference of a loss, and of a gradient relative to the largest in its array.
    (Biases in front of BatchNorm have no gradient but rounding.)"""
    config = config_lib.update(from_file("configs/dcgan.py", arg), SMALL | values)
    gan: Gan = build_gan(config, (SIZE, SIZE, CHANNELS))
    key = jax.random.key(0)
    state = jax.jit(functools.partial(initialise, gan))(key)
    rng = np.random.default_rng(0)
    real, fake = rng.uniform(-1, 1, (2, BATCH, SIZE, SIZE, CHANNELS))
    after, metrics = jax.jit(functools.partial(discriminator_update, gan))(
        state, Examples(jnp.asarray(real)), Examples(jnp.asarray(fake)), key
    )
    share = jax.random.uniform(stream(key, "penalty"), (BATCH, 1, 1, 1), jnp.float64)
    torch.set_default_dtype(torch.float64)
    network = Discriminator(config, state)
    theirs = losses_in_torch(config, network, real, fake, np.asarray(share))
    sum(theirs.values()).backward()
    of_losses = np.max([abs(float(metrics[name]) - x.item()) for name, x in theirs.items()])
    of_gradients, gradients = 0.0, network.gradients()
    least = 1e-3 * max(np.abs(gradient).max() for gradient in gradients.values())
    moved = jax.tree.map(jnp.subtract, state.discriminator.params, after.discriminator.params)
    for path, ours in jax.tree_util.tree_leaves_with_path(moved):
        expected = gradients.pop("/".join(part.key for part in path))
        scale = max(np.abs(expected).max(), least)
        # Unlike Python's max, NumPy's keeps what is not a number.
        of_gradients = np.maximum(of_gradients, np.abs(np.asarray(ours) - expected).max() / scale)
    assert not gradients, f"not compared: {sorted(gradients)}"
    return float(of_losses), float(of_gradients)


def main() -> int:
    """Prints a row for each stabiliser; returns 1 if one differs by more than the tolerance."""
    jax.config.update("jax_enable_x64", True)
    worst = 0.0
    print(f"{'stabiliser':<20}{'losses':>10}{'gradients':>12}")
    for name, (arg, values) in CASES.items():
        of_losses, of_gradients = compare(arg, values)
        worst = np.max([worst, of_losses, of_gradients])
        print(f"{name:<20}{of_losses:>10.1e}{of_gradients:>12.1e}", flush=True)
    return int(not worst <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
