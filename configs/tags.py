"""Tags for images (Mirza and Osindero 2014, section 4.2): given an image's features, the generator
makes vectors of words that fit the image.

    python -m jaxgan.main --config=configs/tags.py[:ARG]

Without ARG: drawn glyphs with 25 true words each. A network trained here to predict the glyphs'
factors gives the features, skip-gram trained here on captions the word vectors (both once). Two
things differ from the paper's training: the discriminator sees a random fifth of each word vector's
coordinates, and the tagging generator is a moving average. A quarter of the width, 5,000 updates.

    mirflickr,dataset.data_dir=DIR    MIR Flickr 25,000 in its own folders, with features in
                                      DIR/features.npy (or dataset.features=FILE, im1.jpg's first)
    paper                             without these two changes, at full width
    table,dataset.data_dir=FILE       any features and tags: an .npz with `features` and `tags`, or
                                      a folder with features.npy and tags.txt

dataset.words=FILE reads word vectors in word2vec's format; without it they are trained on the tags.

Words of ARG: `glyph_tags`, `mirflickr`, `table`, `paper`.
"""

from typing import Any

from ml_collections import ConfigDict

from jaxgan.config import apply_argument, base, update

DATASETS = ("glyph_tags", "mirflickr", "table")
PLAYERS = ("discriminator", "generator")
# As in configs/cgan.py for the fully connected networks.
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
# There are only as many real vectors as words (here 120), in 200 dimensions: a discriminator that
# sees all coordinates memorises them, and the generator learns little. Precision at width 0.25
# after 3,000 updates, 100 validation images: .11 (at skip-gram's own scale), .35 with half of the
# coordinates, .51 with a fifth, .60 with the moving average too; the ten most frequent words have
# .37.
CHANGED = {"discriminator.input_dropout": 0.8, "ema_decay": 0.999, "width": 0.25}
AS_IN_THE_PAPER = {"discriminator.input_dropout": 0.0, "ema_decay": 0.0, "width": 1.0}
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
    "steps": 5_000,
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
    "paper": AS_IN_THE_PAPER,
}


def get_config(arg: str = "") -> ConfigDict:
    return apply_argument(update(base(), PAPER | CHANGED), arg, WORDS, exclusive=(DATASETS,))
