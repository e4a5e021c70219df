"""The conditional GAN (Mirza and Osindero 2014): both networks are conditioned on a label, or on a
part of the image.

    python -m jaxgan.main --config=configs/cgan.py[:ARG]

Without ARG: the document's convolutional networks on the embedded digits, conditioned on the digit.

    mnist             the same on MNIST: 2,400 updates of 64, 9 minutes on one core; .969 of the
                      images show the requested label, .985 with ema_decay=0.999, and .998 with
                      mismatched_factor=0.5,fake_factor=0.5 too (means of five seeds)
    mnist,mlp         the paper's fully connected networks, SGD; best step by Parzen log-likelihood
                      of the validation split; 24,000 updates, about 20 minutes on one core: .978
                      of the labels, 159 nats; with ema_decay=0.9995 .982, 186 nats (means of
                      three seeds)
    mnist,inpaint     fills in the central square of an image

Words of ARG: a dataset (`digits`, `glyphs`, `mnist`, `fashion_mnist`, `cifar10`), `mlp`, `inpaint`.
"""

from typing import Any

from ml_collections import ConfigDict

from jaxgan.config import apply_argument, base, update

DATASETS = ("digits", "glyphs", "mnist", "fashion_mnist", "cifar10")
PLAYERS = ("discriminator", "generator")
ADADELTA = {
    "optimizer": "adadelta",
    "learning_rate": 1.0,
    "rho": 0.92,
    "epsilon": 1e-6,
    "clip": 1.0,
}
DOCUMENT = {
    "system": "cgan",
    "networks": "document",
    "condition.kind": "label",
    "condition.prior": "uniform",
    "latent.codes": "",
    "latent.noise": 96,
    "latent.noise_prior": "normal",
    **{f"{player}.{name}": value for player in PLAYERS for name, value in ADADELTA.items()},
    "discriminator_batches": "fake_real",
    "dataset.replacement": True,
    "batch_size": 64,
    "best_by": "frechet_distance",
    "steps": 2_400,
    "log_every": 25,
    "eval_every": 400,
}
# The paper does not give the length of the momentum's ramp; the original GAN's code has 250 epochs.
SGD = {
    "optimizer": "sgd",
    "rate_divisor": 1.00004,
    "lowest_rate": 1e-6,
    "momentum": 0.5,
    "final_momentum": 0.7,
    "momentum_steps": 125_000,
    "clip": 0.0,
    "dropout": 0.5,
}
# In training, dropout alone varies the generator's images: it learns to ignore its noise, and
# without dropout in sampling all images of a label are the same (Parzen estimate after 24,082
# updates: -42 nats without, 168 with). Without dropout in the generator the discriminator wins
# (docs/results.md has what was tried).
MLP = {
    "networks": "paper",
    "sample_dropout": True,
    "condition.prior": "data",
    "latent.noise": 100,
    "latent.noise_prior": "hypercube",
    **{f"{player}.{name}": value for player in PLAYERS for name, value in SGD.items()},
    "discriminator_batches": "together",
    "dataset.replacement": False,
    "batch_size": 100,
    "best_by": "parzen_log_likelihood",
    "steps": 20_000,
    "eval_every": 1_000,
}
# The paper's rate. With it the losses of one seed in three overflow within 250 updates on the
# digits, of which an epoch has only 12 batches; with half of it, none of four in 1,500.
RATE = {f"{player}.learning_rate": 0.1 for player in PLAYERS}
HALF_RATE = {f"{player}.learning_rate": 0.05 for player in PLAYERS}
# The paper trains on 50,000 of the 60,000 images. These 50,000 are others: the first in the order
# of TFDS, which differs from the original files'.
FIRST_50_000 = {"dataset.validation": 10_000}
WORDS: dict[str, dict[str, Any]] = {
    "digits": {"dataset.name": "digits"},
    "glyphs": {"dataset.name": "glyphs"},
    "mnist": {"dataset.name": "mnist"},
    "fashion_mnist": {"dataset.name": "fashion_mnist"},
    "cifar10": {"dataset.name": "cifar10", "dataset.size": 32},
    "mlp": MLP | HALF_RATE,
    "inpaint": {"condition.kind": "known_part", "condition.prior": "data"},
    "mnist,mlp": FIRST_50_000 | RATE | {"steps": 24_000},
    "fashion_mnist,mlp": FIRST_50_000 | RATE,
}


def get_config(arg: str = "") -> ConfigDict:
    return apply_argument(
        update(base(), DOCUMENT), arg, WORDS, exclusive=(DATASETS, ("mlp", "inpaint"))
    )
