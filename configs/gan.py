"""The original, fully connected GAN.

    python -m jaxgan.main --config=configs/gan.py[:ARG]

Without ARG: the DCGAN document's baseline (one hidden layer per network) on the embedded digits,
with R1, without which it shows few digits: over seeds 0 to 3 the Fréchet distance is 13 ± 5 instead
of 69 ± 37, the Parzen estimate 456 ± 85 nats instead of 140 ± 53.
`paper`: the networks and training of Goodfellow et al. 2014 for MNIST (two hidden layers of 1,200;
maxout; SGD). Both choose the best step by Parzen log-likelihood of the validation split.

    mnist            300 epochs, 13 minutes on one core: Fréchet distance 10.6 (mean of
                     three seeds)
    mnist,paper      70,000 updates, about 50 minutes on one core: Parzen estimate 159 nats, 205
                     with ema_decay=0.9998 (means of three seeds)

Words of ARG: a dataset (`digits`, `glyphs`, `mnist`, `fashion_mnist`, or `ring`: eight Gaussians
on a circle), and `paper`.
"""

from typing import Any

from ml_collections import ConfigDict

from jaxgan.config import apply_argument, base, update

DATASETS = ("digits", "glyphs", "mnist", "fashion_mnist", "ring")

# The document smooths by .1 with a factor of .9 on the real and on the generator's term.
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
SGD = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "rate_divisor": 1.000004,
    "lowest_rate": 1e-6,
    "momentum": 0.5,
    "final_momentum": 0.7,
    "momentum_steps": 125_000,
}
# The discriminator's loss is half the sum of its two terms; both players update simultaneously.
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
DEFAULT = DOCUMENT | {"penalty.kind": "r1"}
# The sources have no penalty.
SOURCE = {"penalty.kind": "none"}
RING = {
    "dataset.name": "ring",
    "latent.noise": 2,
    "latent.noise_prior": "normal",
    "real_factor": 1.0,
    "generator_factor": 1.0,
    # With beta1 .9, two of three seeds lose most modes; with .5, all three find all eight.
    "discriminator.beta1": 0.5,
    "generator.beta1": 0.5,
    "best_by": "none",
}
# The paper trains on 50,000 of the 60,000 images. These 50,000 are others: the first in the order
# of TFDS, which differs from the original files'.
FIRST_50_000 = {"dataset.validation": 10_000}
WORDS: dict[str, dict[str, Any]] = {
    "digits": {"dataset.name": "digits"},
    "glyphs": {"dataset.name": "glyphs"},
    # 300 epochs of 55,000 images in batches of 64.
    "mnist": SOURCE | {"dataset.name": "mnist", "steps": 257_700, "eval_every": 5_000},
    "fashion_mnist": SOURCE
    | {"dataset.name": "fashion_mnist", "steps": 257_700, "eval_every": 5_000},
    "ring": SOURCE | RING,
    "paper": SOURCE | PAPER,
    "mnist,paper": FIRST_50_000 | {"steps": 70_000},
    "fashion_mnist,paper": FIRST_50_000,
}


def get_config(arg: str = "") -> ConfigDict:
    return apply_argument(update(base(), DEFAULT), arg, WORDS, exclusive=(DATASETS,))
