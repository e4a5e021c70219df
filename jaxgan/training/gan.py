"""What is fixed in a run (`Gan`), built from its config."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jaxgan.common.errors import UserError
from jaxgan.losses import adversarial as adversarial_lib
from jaxgan.losses.adversarial import Adversarial
from jaxgan.models.conditions import Condition, Features
from jaxgan.models.infogan import CategoricalParameters
from jaxgan.models.latents import Latent, LatentSpec, parse_codes
from jaxgan.models.registry import SYSTEMS, Modules
from jaxgan.training import optimizers as optimizers_lib


@dataclasses.dataclass(frozen=True)
class Gan:
    """What is fixed in a run: the networks, what feeds them, and the rules of the game.

    Attributes:
      generator, discriminator, q: Linen modules; `q` is None without codes.
      optimizers: one optax optimiser for each player, by name.
      latent: the prior of the generator's noise and codes.
      condition: what both networks are told besides, or None.
      image_shape: (H, W, C).
      low: the lower end of the images' range: -1 (tanh) or 0 (sigmoid).
      adversarial: the two sides of the adversarial loss.
      real_target, fake_target, generator_target: its targets.
      real_factor, fake_factor, generator_factor: of its terms.
      information: who learns from the information term besides the generator: "document", Q's own
        head, in the generator's update; "paper", the trunk and Q's head, in the discriminator's.
      code_weights: lambda of each code.
      learned_deviation: whether Q says how sure it is of a continuous code.
      batch_size: of the generator's update.
      discriminator_batch_size: real examples, and as many generated ones, in a discriminator step.
      discriminator_steps: for each generator update (k in Goodfellow et al. 2014, algorithm 1).
      discriminator_batches: "together", one update on both; "real_fake" or "fake_real", two.
      order: "discriminator_first"; "generator_first"; or "simultaneous", the generator through the
        discriminator as it was before its last step.
      fresh_noise: whether the generator's update draws noise of its own.
      ema_decay: of the generator's moving average, 0 for none.
      dtype: of the images and losses.
    """

    generator: nn.Module
    discriminator: nn.Module
    q: nn.Module | None
    optimizers: dict[str, optax.GradientTransformation]
    latent: LatentSpec
    condition: Condition | None
    image_shape: tuple[int, int, int]
    low: float
    adversarial: Adversarial
    real_target: float
    fake_target: float
    generator_target: float
    real_factor: float
    fake_factor: float
    generator_factor: float
    information: str
    code_weights: tuple[float, ...]
    learned_deviation: bool
    batch_size: int
    discriminator_batch_size: int
    discriminator_steps: int
    discriminator_batches: str
    order: str
    fresh_noise: bool
    ema_decay: float
    dtype: Any = jnp.float32


def example_inputs(gan: Gan) -> tuple[Latent, jax.Array]:
    """A latent and images, two of each, of the shapes that the networks are made for."""
    image = jnp.zeros((2, *gan.image_shape), gan.dtype)
    latent = gan.latent.sample(jax.random.key(0), 2)
    if gan.condition is not None:
        beside = jnp.zeros(2, jnp.int32)
        if isinstance(gan.condition, Features):
            beside = jnp.zeros((2, gan.condition.size))
        told = gan.condition.of(image, beside, gan.dtype)
        latent = latent._replace(condition=told)
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
      condition: what both networks are told (`conditions.make`).
      modules: networks of one's own; None is those that the config names.

    Raises:
      UserError: if the latent codes are not of the form that `parse_codes` reads, or the networks
        do not make images of that shape, or return something else than `Modules` says.
    """
    dtype = jnp.float64 if config.dtype == "float64" else jnp.float32
    types: dict[str, Any] = {
        "dtype": jnp.bfloat16 if config.dtype == "bfloat16" else dtype,
        "param_dtype": dtype,
        "width": config.width,
    }
    codes = parse_codes(config.latent.codes)
    if config.condition.embedding:
        types["embedding"] = config.condition.embedding
    adversarial = adversarial_lib.ADVERSARIAL[config.loss]
    own = modules is not None
    if modules is None:
        modules = SYSTEMS[config.system](config, image_shape, codes, types)
    optimizers = {
        "generator": optimizers_lib.optimizer(config.generator),
        "discriminator": optimizers_lib.optimizer(config.discriminator),
        # Q's head learns at the rate of the player in whose update it learns.
        "q": optimizers_lib.optimizer(
            config.generator if config.information == "document" else config.discriminator
        ),
    }
    gan = Gan(
        generator=modules.generator,
        discriminator=modules.discriminator,
        q=modules.q,
        optimizers=optimizers,
        latent=LatentSpec(config.latent.noise, config.latent.noise_prior, codes, dtype),
        condition=condition,
        image_shape=image_shape,
        low=modules.low,
        adversarial=adversarial,
        real_target=config.real_target,
        fake_target=config.fake_target,
        generator_target=(
            config.generator_target if adversarial.generator_aims_at_real else config.fake_target
        ),
        real_factor=config.real_factor,
        fake_factor=config.fake_factor,
        generator_factor=config.generator_factor,
        information=config.information,
        code_weights=tuple(
            config.lambda_categorical if code.categorical else config.lambda_continuous
            for code in codes
        ),
        learned_deviation=config.q.continuous == "gaussian" and config.q.deviation != "fixed",
        batch_size=config.batch_size,
        discriminator_batch_size=config.discriminator_batch_size or config.batch_size,
        discriminator_steps=config.discriminator_steps,
        discriminator_batches=config.discriminator_batches,
        order=config.order,
        fresh_noise=config.fresh_noise,
        ema_decay=config.ema_decay,
        dtype=dtype,
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
