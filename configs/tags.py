"""Tags for images (Mirza and Osindero 2014, section 4.2): told an image's features, the generator
makes vectors of words that fit it.

    python -m jaxgan.main --config=configs/tags.py[:ARG]

Without ARG: drawn glyphs with 15 true words each; features from a network trained here on what they
were drawn from, word vectors from skip-gram trained here on captions (both once).

    mirflickr,dataset.data_dir=DIR    MIR Flickr 25,000 in its own folders, its features in
                                      DIR/features.npy (or dataset.features=FILE, im1.jpg's first)
    table,dataset.data_dir=FILE       any features and tags: an .npz with `features` and `tags`, or
                                      a folder with features.npy and tags.txt

dataset.words=FILE takes word vectors in word2vec's format; without, they are trained on the tags.

Words of ARG: `glyph_tags`, `mirflickr`, `table`.
"""

from typing import Any

from ml_collections import ConfigDict

from jaxgan.config import apply_argument, base, update

DATASETS = ("glyph_tags", "mirflickr", "table")
PLAYERS = ("discriminator", "generator")
# As configs/cgan.py has it for the fully connected networks.
SGD = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "rate_divisor": 1.00004,
    "lowest_rate": 1e-6,
    "momentum": 0.5,
    "final_momentum": 0.7,
    "momentum_steps": 125_000,
    "clip": 0.0,
    "dropout": 0.5,
}
PAPER = {
    "system": "tags",
    "networks": "paper",
    "dataset.name": "glyph_tags",
    "condition.kind": "features",
    "condition.prior": "data",
    "latent.codes": "",
    "latent.noise": 100,
    "latent.noise_prior": "normal",
    **{f"{player}.{name}": value for player in PLAYERS for name, value in SGD.items()},
    "sample_dropout": True,
    "batch_size": 100,
    "best_by": "tag_precision",
    "steps": 10_000,
    "log_every": 50,
    "sample_every": 1_000,
    "eval_every": 1_000,
    "checkpoint_every": 1_000,
    "eval_images": 200,
    "results_images": 2_000,
}
WORDS: dict[str, dict[str, Any]] = {
    "glyph_tags": {"dataset.name": "glyph_tags"},
    "mirflickr": {"dataset.name": "mirflickr"},
    "table": {"dataset.name": "tags"},
}


def get_config(arg: str = "") -> ConfigDict:
    return apply_argument(update(base(), PAPER), arg, WORDS, exclusive=(DATASETS,))
