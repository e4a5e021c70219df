"""DCGAN: strided convolutions with BatchNorm in both networks (Radford et al. 2016).

    python -m jaxgan.main --config=configs/dcgan.py[:ARG]

Without ARG: the document's networks at a quarter of their width on the embedded digits.

    mnist                    the document's training, 5 epochs, full width, some 50 minutes on one
                             core: Fréchet distance 2.4 ± .9 (three seeds)
    cifar10,classes=horse    the same at 32x32x3 on 5,000 horses, 50 epochs, some 55 minutes on one
                             core: horses (shown in the README)
    stacked_mnist            128,000 images with a digit on each of three channels, 5 epochs; counts
                             how many of the 1,000 modes are generated
    folder,dataset.data_dir=DIR
                             a folder of your own images, of any size, resized to 32x32x3; half the
                             width, 2,000 updates
    size=64                  the paper's networks and training for 64x64 images, with a dataset such
                             as `dataset.name=lsun/bedroom,size=64` or a folder of images
    wgan_gp                  the paper's networks as a Wasserstein GAN with a gradient penalty and
                             LayerNorm in the critic (Gulrajani et al. 2017)
    sngan                    the paper's networks with the hinge loss and spectral normalisation
                             instead of BatchNorm in the discriminator (Miyato et al. 2018)

Words of ARG: a dataset (`digits`, `glyphs`, `mnist`, `fashion_mnist`, `cifar10`, `stacked_digits`,
`stacked_mnist`, `folder`), `classes=NAME[+NAME]`, `size=64`, and one of `paper` (the paper's
networks and training at any size), `wgan_gp` and `sngan`.
"""

from typing import Any

from ml_collections import ConfigDict

from jaxgan.config import apply_argument, base, update

DATASETS = (
    "digits",
    "glyphs",
    "mnist",
    "fashion_mnist",
    "cifar10",
    "stacked_digits",
    "stacked_mnist",
    "folder",
)
ADAM = {"learning_rate": 1e-3, "beta1": 0.4, "epsilon": 1e-8}
DOCUMENT = {
    "system": "dcgan",
    "networks": "document",
    "latent.codes": "",
    "latent.noise": 100,
    "latent.noise_prior": "uniform",
    "real_target": 0.9,
    "generator_target": 0.9,
    **{f"discriminator.{name}": value for name, value in ADAM.items()},
    **{f"generator.{name}": value for name, value in ADAM.items()},
    "discriminator.dropout": 0.2,
    "generator.dropout": 0.2,
    "order": "generator_first",
    "batch_size": 64,
    "best_by": "frechet_distance",
}
PAPER = {
    "networks": "paper",
    "real_target": 1.0,
    "generator_target": 1.0,
    **{f"{player}.learning_rate": 2e-4 for player in ("discriminator", "generator")},
    **{f"{player}.beta1": 0.5 for player in ("discriminator", "generator")},
    **{f"{player}.dropout": 0.0 for player in ("discriminator", "generator")},
    "order": "discriminator_first",
    "batch_size": 128,
}
# Gulrajani et al. 2017, algorithm 1.
WGAN_GP = PAPER | {
    "loss": "wasserstein",
    "penalty.kind": "gradient",
    "penalty.weight": 10.0,
    "discriminator.norm": "layer",
    "discriminator_steps": 5,
    "fresh_noise": True,
    **{f"{player}.learning_rate": 1e-4 for player in ("discriminator", "generator")},
    **{f"{player}.beta1": 0.0 for player in ("discriminator", "generator")},
    **{f"{player}.beta2": 0.9 for player in ("discriminator", "generator")},
    "latent.noise": 128,
    "latent.noise_prior": "normal",
    "batch_size": 64,
}
# Miyato et al. 2018, section 4, with the optimiser of Radford et al. 2016 (their setting C).
SNGAN = PAPER | {
    "loss": "hinge",
    "discriminator.norm": "spectral",
    "latent.noise": 128,
    "latent.noise_prior": "normal",
    "batch_size": 64,
}
FULL = {"width": 1.0, "eval_every": 859}
WORDS: dict[str, dict[str, Any]] = {
    "digits": {"dataset.name": "digits"},
    "glyphs": {"dataset.name": "glyphs"},
    "mnist": FULL | {"dataset.name": "mnist", "steps": 5 * 859},
    "fashion_mnist": FULL | {"dataset.name": "fashion_mnist", "steps": 5 * 859},
    # The document's epochs have 77 batches; the 5,000 images of one class make 78.
    "cifar10": FULL
    | {"dataset.name": "cifar10", "dataset.size": 32, "steps": 50 * 77, "eval_every": 385},
    # Choosing the best would take a classifier of 1,000 modes.
    "stacked_digits": {"dataset.name": "stacked_digits", "best_by": "none"},
    "stacked_mnist": FULL
    | {"dataset.name": "stacked_mnist", "steps": 5 * 2_000, "eval_every": 2_000, "best_by": "none"},
    # Your own images: some minutes on two cores.
    "folder": {
        "dataset.name": "folder",
        "dataset.size": 32,
        "width": 0.5,
        "steps": 2_000,
        "eval_every": 500,
    },
    # The same 5 epochs, in the paper's batches of 128.
    "mnist,paper": {"steps": 5 * 430, "eval_every": 430},
    "fashion_mnist,paper": {"steps": 5 * 430, "eval_every": 430},
    "stacked_mnist,paper": {"steps": 5 * 1_000},
    "cifar10,paper": {"steps": 50 * 39, "eval_every": 390},
    # 3,033,042 images, as many as LSUN's bedrooms, in the paper's batches.
    "size=64": PAPER | {"width": 1.0, "dataset.size": 64, "steps": 23_696, "eval_every": 2_000},
    "paper": PAPER,
    "wgan_gp": WGAN_GP,
    "sngan": SNGAN,
}
# For the digits on two cores.
DEFAULT = DOCUMENT | {"width": 0.25, "steps": 500}


def get_config(arg: str = "") -> ConfigDict:
    exclusive = (DATASETS, ("paper", "wgan_gp", "sngan"))
    return apply_argument(update(base(), DEFAULT), arg, WORDS, exclusive=exclusive)
