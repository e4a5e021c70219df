"""From a config to the rules of the game: the networks, what feeds them, the losses."""

from typing import Any

import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgan import losses, optim
from jaxgan.latents import LatentSpec, parse_codes
from jaxgan.models import infogan
from jaxgan.state import Gan


def build_gan(config: ConfigDict, image_shape: tuple[int, int, int]) -> Gan:
    """Everything that is fixed in a run.

    Args:
      config: validated.
      image_shape: (H, W, C) of the data.

    Raises:
      UserError: if the latent codes are not of the form that `parse_codes` reads.
    """
    dtype = jnp.float64 if config.dtype == "float64" else jnp.float32
    types: dict[str, Any] = {
        "dtype": jnp.bfloat16 if config.dtype == "bfloat16" else dtype,
        "param_dtype": dtype,
        "width": config.width,
    }
    codes = parse_codes(config.latent.codes)
    adversarial = losses.ADVERSARIAL[config.loss]
    image: dict[str, Any] = {"image_shape": image_shape}
    generator: Any
    discriminator: Any
    if config.networks == "document":
        types |= {"momentum": 0.99, "epsilon": 1e-3}
        generator = infogan.DocumentGenerator(**image, **types)
        discriminator = infogan.DocumentDiscriminator(**types)
        q_init, low = infogan.GLOROT, -1.0
    else:
        types |= {"momentum": 0.9, "epsilon": 1e-5}
        generator = infogan.PaperGenerator(**image, **types)
        discriminator = infogan.PaperDiscriminator(**types)
        q_init, low = infogan.NORMAL, 0.0
    q = infogan.Q(
        codes=codes,
        continuous=config.q.continuous,
        deviation=config.q.deviation,
        kernel_init=q_init,
        **types,
    )
    optimizers = {
        "generator": optim.optimizer(config.generator),
        "discriminator": optim.optimizer(config.discriminator),
        # Q's head learns at the rate of the player in whose update it learns.
        "q": optim.optimizer(
            config.generator if config.information == "document" else config.discriminator
        ),
    }
    return Gan(
        generator=generator,
        discriminator=discriminator,
        q=q if codes else None,
        optimizers=optimizers,
        latent=LatentSpec(config.latent.noise, config.latent.noise_prior, codes, dtype),
        image_shape=image_shape,
        low=low,
        adversarial=adversarial,
        real_target=config.real_target,
        fake_target=config.fake_target,
        generator_target=(
            config.generator_target if adversarial.generator_aims_at_real else config.fake_target
        ),
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
