"""InfoGAN."""

from typing import Any

from ml_collections import ConfigDict

from jaxgan.config import apply_argument, base, update

# With the deviation learned, a continuous code's log-likelihood has no ceiling, and at lambda 1 its
# gradient drowns the categorical code's (digits, 750 updates: code accuracy .38, at 0.1 .80).
CONTINUOUS = {"latent.codes": "categorical:10+uniform:2", "lambda_continuous": 0.1}
DOCUMENT = {
    "networks": "document",
    "information": "document",
    "latent.noise_prior": "normal",
    "batch_size": 64,
    "discriminator_batch_size": 32,
    "discriminator_batches": "real_fake",
    "fresh_noise": True,
    "dataset.replacement": True,
    "discriminator.learning_rate": 2e-4,
    "generator.learning_rate": 2e-4,
    "width": 1.0,
    "steps": 93_700,
}
PAPER = {
    "networks": "paper",
    "information": "paper",
    "latent.noise_prior": "uniform",
    **CONTINUOUS,
    "batch_size": 128,
    "discriminator_batch_size": 0,
    "discriminator_batches": "together",
    "fresh_noise": False,
    "dataset.replacement": False,
    "discriminator.learning_rate": 2e-4,
    "generator.learning_rate": 1e-3,
    "width": 1.0,
    "steps": 5_000,
}
WORDS: dict[str, dict[str, Any]] = {
    "digits": {"dataset.name": "digits"},
    "mnist": {"dataset.name": "mnist"},
    "fashion_mnist": {"dataset.name": "fashion_mnist"},
    "document": DOCUMENT,
    "paper": PAPER,
    "continuous": CONTINUOUS,
}


def get_config(arg: str = "") -> ConfigDict:
    config = update(base(), PAPER | {"steps": 1000, "width": 0.5, "latent.codes": "categorical:10"})
    return apply_argument(config, arg, WORDS)
