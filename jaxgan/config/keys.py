"""Every key of a config: its default, type and limits. docs/reference.md says what each means."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Key:
    """A key's default, allowed values (`low` and `high` included), and whether a resumed run may
    change it."""

    default: Any
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    may_change: bool = False


PLAYER = {
    "optimizer": Key("adam", ("adam", "sgd", "adadelta")),
    "learning_rate": Key(2e-4, low=0),
    "beta1": Key(0.5, low=0, high=0.99999),
    "beta2": Key(0.999, low=0, high=0.99999),
    "epsilon": Key(1e-8, low=0),
    "rho": Key(0.9, low=0, high=1),
    "momentum": Key(0.5, low=0, high=1),
    "final_momentum": Key(0.5, low=0, high=1),
    "momentum_steps": Key(0, low=0),
    "rate_divisor": Key(1.0, low=1),
    "lowest_rate": Key(0.0, low=0),
    "clip": Key(0.0, low=0),
    "dropout": Key(0.0, low=0, high=0.99),
}

# Datasets that need dataset.data_dir, and what it must name.
FROM_FILES = {
    "idx": "the folder of the IDX files",
    "csv": "Kaggle's train.csv, or the folder that holds it",
    "folder": "the folder of images",
    "mirflickr": "the folder with im1.jpg and meta",
    "tags": "an .npz with features and tags, or a folder with features.npy and tags.txt",
}

# The words of `augment` (data/augment.py).
AUGMENTATIONS = ("color", "translation", "cutout")

# Datasets of images with tags.
WITH_TAGS = ("glyph_tags", "mirflickr", "tags")

# The smallest and the largest image of each system's convolutional networks.
CONVOLUTIONAL_SIZES = {"dcgan": (16, 256), "cgan": (16, 256), "infogan": (4, 256)}

# The largest whole number of a key without a limit of its own: JAX counts steps and shapes in 32
# bits.
MOST = 2**31 - 1

# The most images that metrics take, and that a command samples: all are in memory at once.
MOST_IMAGES = 100_000

# Keys that say where the data is; changing them does not change the data.
PLACES = ("dataset.data_dir", "dataset.features", "dataset.words")

# A test compares this list with docs/reference.md.
KEYS: dict[str, Key] = {
    "system": Key("infogan", ("gan", "dcgan", "cgan", "infogan", "tags")),
    "networks": Key("paper", ("document", "paper", "authors")),
    "width": Key(1.0, low=1e-3),
    "dtype": Key("float32", ("float32", "bfloat16", "float64")),
    "precision": Key("default", ("default", "high", "highest")),
    "seed": Key(0, low=0, high=2**31 - 1),
    "seeds": Key(1, low=1, high=4096),
    "steps": Key(1000, low=1, may_change=True),
    "batch_size": Key(64, low=2),
    "dataset.name": Key("digits"),
    "dataset.classes": Key(""),
    "dataset.images": Key(0, low=0),
    "dataset.data_dir": Key("", may_change=True),
    "dataset.replacement": Key(False),
    "dataset.validation": Key(-1, low=-1),
    "dataset.size": Key(28, low=4),
    "dataset.channels": Key(0, low=0, high=3),
    "dataset.mirror": Key(False),
    "dataset.fit": Key("crop", ("crop", "pad")),
    "dataset.features": Key("", may_change=True),
    "dataset.words": Key("", may_change=True),
    "dataset.vector_size": Key(200, low=1),
    "dataset.min_count": Key(5, low=1),
    "dataset.streamed": Key("auto", ("auto", "yes", "no"), may_change=True),
    "dataset.workers": Key(0, low=0, may_change=True),
    "dataset.near_duplicates": Key("keep", ("keep", "leave_out")),
    "latent.noise": Key(62, low=1, high=100_000),
    "latent.noise_prior": Key("normal", ("normal", "uniform", "unit_uniform", "hypercube")),
    "latent.codes": Key("categorical:10"),
    "condition.kind": Key("none", ("none", "label", "known_part", "features")),
    "condition.how": Key("concatenate", ("concatenate", "projection", "auxiliary")),
    "condition.prior": Key("data", ("data", "uniform")),
    "condition.embedding": Key(0, low=0),
    "condition.hole": Key(0.5, low=0, high=1),
    "q.continuous": Key("gaussian", ("gaussian", "point")),
    "q.deviation": Key("exponential", ("exponential", "sigmoid", "fixed")),
    "q.rotation": Key(0.0, low=0, high=3.2),
    "q.shift": Key(0.0, low=0, high=1),
    "q.scale": Key(0.0, low=0, high=0.9),
    "q.ema_decay": Key(0.0, low=0, high=1),
    "information": Key("paper", ("document", "paper")),
    "lambda_categorical": Key(1.0, low=0),
    "lambda_continuous": Key(1.0, low=0),
    "lambda_generator": Key(1.0, low=0),
    "loss": Key(
        "non_saturating", ("non_saturating", "minimax", "least_squares", "hinge", "wasserstein")
    ),
    "penalty.kind": Key("none", ("none", "gradient", "r1", "r2")),
    "penalty.weight": Key(10.0, low=0),
    "penalty.every": Key(1, low=1, high=2**31 - 1),
    "real_target": Key(1.0, low=0, high=1),
    "fake_target": Key(0.0, low=0, high=1),
    "generator_target": Key(1.0, low=0, high=1),
    "real_factor": Key(1.0, low=0),
    "fake_factor": Key(1.0, low=0),
    "generator_factor": Key(1.0, low=0),
    "mismatched_factor": Key(0.0, low=0),
    **{f"discriminator.{name}": key for name, key in PLAYER.items()},
    **{f"generator.{name}": key for name, key in PLAYER.items()},
    "generator.output_bias": Key("zero", ("zero", "data")),
    "discriminator.norm": Key("source", ("source", "none", "layer", "instance", "spectral")),
    "discriminator.input_dropout": Key(0.0, low=0, high=0.99),
    "discriminator.shared_dropout": Key(False),
    "sample_dropout": Key(False),
    "augment": Key(""),
    "ema_decay": Key(0.0, low=0, high=1),
    "order": Key("discriminator_first", ("discriminator_first", "generator_first", "simultaneous")),
    "discriminator_steps": Key(1, low=1),
    "discriminator_batches": Key("together", ("together", "real_fake", "fake_real")),
    "discriminator_batch_size": Key(0, low=0),
    "fresh_noise": Key(False),
    "steps_per_call": Key(0, low=0),
    "log_every": Key(10, low=1, may_change=True),
    "sample_every": Key(100, low=1, may_change=True),
    "sample_seconds": Key(-1.0, low=-1, may_change=True),
    "eval_every": Key(500, low=1, may_change=True),
    "checkpoint_every": Key(500, low=1, may_change=True),
    "checkpoint_seconds": Key(-1.0, low=-1, may_change=True),
    "checkpoints_kept": Key(2, low=1, may_change=True),
    "rollbacks": Key(0, low=0, may_change=True),
    "best_by": Key(
        "code_information",
        ("none", "code_information", "parzen_log_likelihood", "frechet_distance", "tag_precision"),
    ),
    # A Fréchet distance needs two images.
    "eval_images": Key(2_000, low=2),
    "results_images": Key(10_000, low=2),
    "tensorboard": Key(True, may_change=True),
    "progress": Key(True, may_change=True),
}
