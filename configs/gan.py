"""The original, fully connected GAN.

    python -m jaxgan.main --config=configs/gan.py[:ARG]

Without ARG: the baseline of the DCGAN document (one hidden layer in each network) on the embedded
digits. `paper`: the networks and the training of Goodfellow et al. 2014 for MNIST (two hidden
layers of 1,200; maxout; SGD). Both choose their best step by the Parzen log-likelihood of the
validation split.

    mnist            300 epochs, 13 minutes on one core: Fréchet distance 10.8 (see the README)
    mnist,paper      70,000 updates, some 50 minutes on one core: Parzen estimate 161 nats (after
                     71,714)

Words of ARG: a dataset (`digits`, `glyphs`, `mnist`, `fashion_mnist`, or `ring`: eight Gaussians
on a circle), and `paper`.
"""

from typing import Any

from ml_collections import ConfigDict

from jaxgan.config import apply_argument, base, update

DATASETS = ("digits", "glyphs", "mnist", "fashion_mnist", "ring")

# Smoothing by .1 is, in this source, a factor of .9 on the real and on the generator's term.
DOCUMENT = {
    "system": "gan",
    "networks": "document",
    "latent.codes": "",
    "latent.noise": 100,
    "latent.noise_prior": "uniform",
    "real_factor": 0.9,
    "generator_factor": 0.9,
    "discriminator.learning_rate": 1e-3,
    "discriminator.beta1": 0.9,
    "generator.learning_rate": 1e-3,
    "generator.beta1": 0.9,
    "batch_size": 64,
    "best_by": "parzen_log_likelihood",
    "steps": 3_000,
}
# The discriminator's loss is half the sum of its two terms, and both players step at once.
SGD = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "rate_divisor": 1.000004,
    "lowest_rate": 1e-6,
    "momentum": 0.5,
    "final_momentum": 0.7,
    "momentum_steps": 125_000,
}
PAPER = {
    "networks": "paper",
    "latent.noise_prior": "normal",
    "real_factor": 0.5,
    "fake_factor": 0.5,
    "generator_factor": 1.0,
    **{f"discriminator.{name}": value for name, value in SGD.items()},
    **{f"generator.{name}": value for name, value in SGD.items()},
    "discriminator.dropout": 0.5,
    "discriminator.input_dropout": 0.2,
    "order": "simultaneous",
    "batch_size": 100,
}
RING = {
    "dataset.name": "ring",
    "latent.noise": 2,
    "latent.noise_prior": "normal",
    "real_factor": 1.0,
    "generator_factor": 1.0,
    # With Adam's .9 two seeds of three lose most modes; with .5 three of three find all eight.
    "discriminator.beta1": 0.5,
    "generator.beta1": 0.5,
    "best_by": "none",
}
# The paper trains on 50,000 of the 60,000 images. These are the first in TFDS's order, which is not
# that of the original files: not the same 50,000.
FIRST_50_000 = {"dataset.validation": 10_000}
WORDS: dict[str, dict[str, Any]] = {
    "digits": {"dataset.name": "digits"},
    "glyphs": {"dataset.name": "glyphs"},
    # 300 epochs of 55,000 images in batches of 64.
    "mnist": {"dataset.name": "mnist", "steps": 257_700, "eval_every": 5_000},
    "fashion_mnist": {"dataset.name": "fashion_mnist", "steps": 257_700, "eval_every": 5_000},
    "ring": RING,
    "paper": PAPER,
    "mnist,paper": FIRST_50_000 | {"steps": 70_000},
    "fashion_mnist,paper": FIRST_50_000,
}


def get_config(arg: str = "") -> ConfigDict:
    return apply_argument(update(base(), DOCUMENT), arg, WORDS, exclusive=(DATASETS,))
