"""What is fixed in a run (`Gan`), built from its config."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict, FrozenConfigDict

from jaxgan.common.errors import UserError
from jaxgan.losses.adversarial import ADVERSARIAL, Adversarial
from jaxgan.models.conditions import Condition, Features
from jaxgan.models.infogan import CategoricalParameters
from jaxgan.models.latents import Latent, LatentSpec, parse_codes
from jaxgan.models.registry import Modules, make_modules
from jaxgan.training.optimizers import optimizer


@dataclasses.dataclass(frozen=True)
class Gan:
    """What is fixed in a run: the networks, the prior of their inputs, and the config.

    Attributes:
      generator, discriminator, q: Linen modules; `q` is None without codes.
      low: the lower end of the images' range: -1 (tanh) or 0 (sigmoid).
      optimizers: one optax optimiser for each network, by name.
      latent: the prior of the generator's noise and codes.
      condition: the input that both networks have besides, or None.
      image_shape: (H, W, C).
      config: of the run; what a key means stands in docs/reference.md.
    """

    generator: nn.Module
    discriminator: nn.Module
    q: nn.Module | None
    low: float
    optimizers: dict[str, optax.GradientTransformation]
    latent: LatentSpec
    condition: Condition | None
    image_shape: tuple[int, int, int]
    config: FrozenConfigDict

    @property
    def dtype(self) -> Any:
        """Of the images, the losses and the parameters."""
        return parameter_dtype(self.config)

    @property
    def adversarial(self) -> Adversarial:
        """The two sides of the adversarial loss."""
        return ADVERSARIAL[self.config.loss]

    @property
    def generator_target(self) -> float:
        """The target of generated images in the generator's loss."""
        aims_at_real = self.adversarial.generator_aims_at_real
        return float(self.config.generator_target if aims_at_real else self.config.fake_target)

    @property
    def discriminator_batch_size(self) -> int:
        """Real examples, and as many generated ones, in a discriminator step."""
        return int(self.config.discriminator_batch_size or self.config.batch_size)

    @property
    def code_weights(self) -> tuple[float, ...]:
        """lambda of each code."""
        return tuple(
            self.config.lambda_categorical if code.categorical else self.config.lambda_continuous
            for code in self.latent.codes
        )

    @property
    def learned_deviation(self) -> bool:
        """Whether Q predicts the standard deviation of a continuous code."""
        return self.config.q.continuous == "gaussian" and self.config.q.deviation != "fixed"


def parameter_dtype(config: ConfigDict | FrozenConfigDict) -> Any:
    """float64 where the config asks for it, else float32 (with bfloat16 too)."""
    return jnp.float64 if config.dtype == "float64" else jnp.float32


def example_inputs(gan: Gan) -> tuple[Latent, jax.Array]:
    """A latent and images, two of each, of the shapes that the networks are made for."""
    image = jnp.zeros((2, *gan.image_shape), gan.dtype)
    latent = gan.latent.sample(jax.random.key(0), 2)
    if gan.condition is not None:
        labels = jnp.zeros(2, jnp.int32)
        if isinstance(gan.condition, Features):
            labels = jnp.zeros((2, gan.condition.size))
        condition = gan.condition.of(image, labels, gan.dtype)
        latent = latent._replace(condition=condition)
    return latent, image


def build_gan(
    config: ConfigDict,
    image_shape: tuple[int, int, int],
    condition: Condition | None = None,
    modules: Modules | None = None,
) -> Gan:
    """Everything that is fixed in a run.

    Args:
      config: validated.
      image_shape: (H, W, C) of the data.
      condition: of both networks (`conditions.make`).
      modules: networks of one's own; None is those that the config names.

    Raises:
      UserError: if the latent codes are not of the form that `parse_codes` reads, or the networks
        do not make images of that shape, or return something else than `Modules` says.
    """
    dtype = parameter_dtype(config)
    codes = parse_codes(config.latent.codes)
    own = modules is not None
    if modules is None:
        modules = make_modules(config, image_shape, codes, dtype)
    gan = Gan(
        *modules,
        optimizers={
            "generator": optimizer(config.generator),
            "discriminator": optimizer(config.discriminator),
            # Q's head learns at the rate of the network in whose update it learns.
            "q": optimizer(
                config.generator if config.information == "document" else config.discriminator
            ),
        },
        latent=LatentSpec(config.latent.noise, config.latent.noise_prior, codes, dtype),
        condition=condition,
        image_shape=image_shape,
        config=FrozenConfigDict(config),
    )
    if own:
        _check_contract(gan)
    return gan


def _check_contract(gan: Gan) -> None:
    """Looks at the shapes that networks of one's own return; nothing is computed.

    Raises:
      UserError: naming the network that returns something else than `Modules` says.
    """

    def returned(module: nn.Module, *inputs: Any) -> Any:
        rngs = {"params": jax.random.key(0), "dropout": jax.random.key(0)}
        return jax.eval_shape(
            lambda *inputs: module.init_with_output(rngs, *inputs, train=False)[0], *inputs
        )

    latent, image = example_inputs(gan)
    made = returned(gan.generator, latent)
    if getattr(made, "shape", None) != image.shape:
        raise UserError(
            f"generator: returns {_shapes(made)} for a batch of 2, not {image.shape}",
            "the data's images have that shape",
        )
    read = returned(gan.discriminator, image, latent.condition)
    shapes = [part.shape for part in read] if isinstance(read, tuple) else []
    if [len(shape) for shape in shapes] != [1, 2] or {shape[0] for shape in shapes} != {2}:
        raise UserError(
            f"discriminator: returns {_shapes(read)} for a batch of 2",
            "it is to return (logit [B], features [B, F])",
        )
    codes = gan.latent.codes
    if (gan.q is None) != (not codes):
        raise UserError(
            "q: a network that reads codes and latent.codes go together, one is missing",
            "give both, or q=None and latent.codes=''",
        )
    if gan.q is None:
        return
    parameters = returned(gan.q, read[1])
    kinds = [isinstance(one, CategoricalParameters) for one in parameters]
    if not isinstance(parameters, tuple) or kinds != [code.categorical for code in codes]:
        raise UserError(
            f"q: returns {_shapes(parameters)} for {len(codes)} codes",
            "it is to return a tuple with one of jaxgan.models.infogan's CategoricalParameters,"
            " GaussianParameters or PointParameters for each code",
        )


def _shapes(returned: Any) -> str:
    return str(jax.tree.map(lambda x: x.shape, returned))
