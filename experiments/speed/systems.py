"""The systems whose speed is compared, by their names in the tables. Each has the networks, batch,
optimiser and order of updates of its paper or document."""

import pathlib

from ml_collections import ConfigDict

from jaxgan.config.files import from_file
from jaxgan.models import conditions
from jaxgan.training.gan import Gan, build_gan

ROOT = pathlib.Path(__file__).resolve().parents[2]
E1 = "mnist,document"
# Name: config, ARG, channels.
SYSTEMS = {
    "A": ("gan", "mnist", 1),
    "B": ("gan", "mnist,paper", 1),
    "C1": ("dcgan", "mnist", 1),
    "C2": ("dcgan", "cifar10", 3),
    "C3": ("dcgan", "size=64", 3),
    "D1": ("cgan", "mnist,mlp", 1),
    "D2": ("cgan", "mnist", 1),
    "E1, document": ("infogan", E1, 1),
    # The discriminator trains on 64 + 64 images at once, then the generator and Q on the same 64.
    "E1, document, 64": (
        "infogan",
        f"{E1},discriminator_batch_size=64,discriminator_batches=together,fresh_noise=false",
        1,
    ),
    "E1, paper": ("infogan", "mnist,paper,latent.codes=categorical:10", 1),
    "E2, paper": ("infogan", "mnist,paper", 1),
}
# Systems without a counterpart in PyTorch here.
OTHERS = {
    "C1, WGAN-GP": ("dcgan", "mnist,wgan_gp", 1),
    "C1, SNGAN": ("dcgan", "mnist,sngan", 1),
    "C2, WGAN-GP": ("dcgan", "cifar10,wgan_gp", 3),
    "C2, SNGAN": ("dcgan", "cifar10,sngan", 3),
}


def load_config(name: str, arg: str) -> ConfigDict:
    """The config of a file in configs/."""
    return from_file(ROOT / "configs" / f"{name}.py", arg)


def build(config: ConfigDict, channels: int) -> Gan:
    """The Gan of a config, for images with this number of channels."""
    size = config.dataset.size
    condition = conditions.make(config, tuple("0123456789"), tuple(range(10)))
    return build_gan(config, (size, size, channels), condition)
