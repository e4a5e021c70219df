"""The keys that every config has, how ARG is read, and the exception that a mistake raises."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict


class UserError(Exception):
    """A mistake of the user's: becomes one or two lines on stderr and exit status 2.

    Args:
      what: the thing that is wrong, named.
      remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}\n{remedy}" if remedy else what)


@dataclasses.dataclass(frozen=True)
class Key:
    """One key: its default, what it may be, and whether a started run may change it."""

    default: Any
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    may_change: bool = False


PLAYER = {
    "optimizer": Key("adam", ("adam", "sgd", "adadelta")),
    "learning_rate": Key(2e-4, low=0),
    "beta1": Key(0.5, low=0, high=1),
    "beta2": Key(0.999, low=0, high=1),
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

# The datasets that dataset.data_dir has to name, and what it names.
FROM_FILES = {
    "idx": "the folder of the IDX files",
    "csv": "Kaggle's train.csv, or the folder that holds it",
    "folder": "the folder of images",
    "mirflickr": "the folder with im1.jpg and meta",
    "tags": "an .npz with features and tags, or a folder with features.npy and tags.txt",
}
# Datasets of images with tags.
WITH_TAGS = ("glyph_tags", "mirflickr", "tags")
# The keys that say where data lies, and nothing of what it is.
PLACES = ("dataset.data_dir", "dataset.features", "dataset.words")

# What each key means stands in docs/reference.md; a test holds the two lists together.
KEYS: dict[str, Key] = {
    "system": Key("infogan", ("gan", "dcgan", "cgan", "infogan", "tags")),
    "networks": Key("paper", ("document", "paper")),
    "width": Key(1.0, low=1e-3),
    "dtype": Key("float32", ("float32", "bfloat16", "float64")),
    "seed": Key(0, low=0, high=2**31 - 1),
    "seeds": Key(1, low=1),
    "steps": Key(1000, low=1, may_change=True),
    "batch_size": Key(64, low=2),
    "dataset.name": Key("digits"),
    "dataset.classes": Key(""),
    "dataset.data_dir": Key("", may_change=True),
    "dataset.replacement": Key(False),
    "dataset.validation": Key(-1, low=-1),
    "dataset.size": Key(28, low=4),
    "dataset.channels": Key(0, low=0, high=3),
    "dataset.features": Key("", may_change=True),
    "dataset.words": Key("", may_change=True),
    "dataset.vector_size": Key(200, low=1),
    "dataset.min_count": Key(5, low=1),
    "dataset.streamed": Key("auto", ("auto", "yes", "no"), may_change=True),
    "dataset.workers": Key(0, low=0, may_change=True),
    "dataset.near_duplicates": Key("keep", ("keep", "leave_out")),
    "latent.noise": Key(62, low=1, high=100_000),
    "latent.noise_prior": Key("normal", ("normal", "uniform", "hypercube")),
    "latent.codes": Key("categorical:10"),
    "condition.kind": Key("none", ("none", "label", "known_part", "features")),
    "condition.prior": Key("data", ("data", "uniform")),
    "condition.embedding": Key(0, low=0),
    "condition.hole": Key(0.5, low=0, high=1),
    "q.continuous": Key("gaussian", ("gaussian", "point")),
    "q.deviation": Key("exponential", ("exponential", "sigmoid", "fixed")),
    "information": Key("paper", ("document", "paper")),
    "lambda_categorical": Key(1.0, low=0),
    "lambda_continuous": Key(1.0, low=0),
    "loss": Key("non_saturating", ("non_saturating", "minimax", "least_squares", "hinge")),
    "real_target": Key(1.0, low=0, high=1),
    "fake_target": Key(0.0, low=0, high=1),
    "generator_target": Key(1.0, low=0, high=1),
    "real_factor": Key(1.0, low=0),
    "fake_factor": Key(1.0, low=0),
    "generator_factor": Key(1.0, low=0),
    **{f"discriminator.{name}": key for name, key in PLAYER.items()},
    **{f"generator.{name}": key for name, key in PLAYER.items()},
    "discriminator.input_dropout": Key(0.0, low=0, high=0.99),
    "sample_dropout": Key(False),
    "ema_decay": Key(0.0, low=0, high=1),
    "order": Key("discriminator_first", ("discriminator_first", "generator_first", "simultaneous")),
    "discriminator_steps": Key(1, low=1),
    "discriminator_batches": Key("together", ("together", "real_fake", "fake_real")),
    "discriminator_batch_size": Key(0, low=0),
    "fresh_noise": Key(False),
    "steps_per_call": Key(0, low=0),
    "log_every": Key(10, low=1, may_change=True),
    "sample_every": Key(100, low=1, may_change=True),
    "eval_every": Key(500, low=1, may_change=True),
    "checkpoint_every": Key(500, low=1, may_change=True),
    "checkpoints_kept": Key(2, low=1, may_change=True),
    "rollbacks": Key(0, low=0, may_change=True),
    "best_by": Key(
        "code_information",
        ("none", "code_information", "parzen_log_likelihood", "frechet_distance", "tag_precision"),
    ),
    # A Fréchet distance wants two.
    "eval_images": Key(2_000, low=2),
    "results_images": Key(10_000, low=2),
    "tensorboard": Key(True, may_change=True),
    "progress": Key(True, may_change=True),
}


# What may be left out of a key in ARG.
SHORT = {"classes": "dataset.classes", "size": "dataset.size", "dataset": "dataset.name"}


def base() -> ConfigDict:
    """A config with every key at its default."""
    config = ConfigDict()
    for path, key in KEYS.items():
        put(config, path, key.default)
    return config


def put(config: ConfigDict, path: str, value: Any) -> None:
    """config.a.b = value for the path "a.b"; missing groups are made."""
    *groups, name = path.split(".")
    for group in groups:
        if group not in config:
            config[group] = ConfigDict()
        config = config[group]
    config[name] = value


def get(config: ConfigDict, path: str) -> Any:
    """config.a.b for the path "a.b"."""
    for name in path.split("."):
        config = config[name]
    return config


def leaves(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every (path, value) of a config."""
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def update(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """Sets paths to values, in place; returns the config."""
    for path, value in values.items():
        put(config, path, value)
    return config


def apply_argument(
    config: ConfigDict,
    arg: str,
    words: Mapping[str, Mapping[str, Any]],
    exclusive: Sequence[Sequence[str]] = (),
) -> ConfigDict:
    """Applies a config file's ARG: comma-separated known words and key=value.

    The words take effect in the order of `words`, whatever the order they are typed in, and
    key=value after them.

    Args:
      config: changed in place.
      arg: such as "mnist,document" or "paper,width=0.5".
      words: for each known word, the paths and values it sets; what stands under "a,b" is set
        where both words are given.
      exclusive: groups of words of which one at most may be given.

    Returns:
      The config.

    Raises:
      UserError: for an unknown word or key, or a value of another type.
    """
    parts = [part.strip() for part in arg.split(",") if part.strip()]
    given = [part for part in parts if "=" not in part or part in words]
    for either in exclusive:
        both = [word for word in given if word in either]
        if len(both) > 1:
            raise UserError(f"ARG '{arg}': {' and '.join(both)} exclude one another")
    for word in given:
        if word not in words:
            raise UserError(
                f"ARG '{arg}': unknown word '{word}'",
                f"known: {', '.join(w for w in words if ',' not in w)}; or key=value with a key of"
                " the config",
            )
    for word, values in words.items():
        if set(word.split(",")) <= set(given):
            update(config, values)
    for part in parts:
        if "=" in part and part not in words:
            path, _, text = part.partition("=")
            path = SHORT.get(path, path)
            if path not in KEYS:
                raise UserError(f"ARG '{arg}': no key '{path}'", nearest(path))
            put(config, path, parse_value(path, text))
    return config


def nearest(path: str) -> str:
    """A line that names the keys most like `path`: "lr" is short for a learning_rate."""
    import difflib

    group, _, name = path.rpartition(".")
    named = [key for key in KEYS if key.startswith(group) and name in _names(key)]
    close = named or difflib.get_close_matches(path, KEYS, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else "docs/reference.md lists the keys"


def _names(path: str) -> tuple[str, ...]:
    """The last part of a key, and the first letters of its words where there are several."""
    name = path.rpartition(".")[2]
    letters = "".join(word[0] for word in name.split("_"))
    return (name, letters) if len(letters) > 1 else (name,)


def parse_value(path: str, text: str) -> Any:
    """The text of key=value, in the type of the key's default."""
    default = KEYS[path].default
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        return type(default)(text)
    except (KeyError, ValueError):
        raise not_of_its_kind(path, text) from None


def not_of_its_kind(path: str, text: str) -> UserError:
    """The mistake that the text of a value is not in the type of the key's default."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number"}
    return UserError(f"{path}={text}: not {kinds[type(KEYS[path].default)]}")


def refuse_changes(config: ConfigDict, saved: Mapping[str, Any], workdir: str) -> None:
    """Refuses to go on with a run whose config differs in more than it may.

    Args:
      config: of this start.
      saved: path -> value, of the run's first start.
      workdir: the run's folder, for the message.

    Raises:
      UserError: naming the first five keys that differ, with both values.
    """
    now = dict(leaves(config))
    differing = [
        f"{path} (was {saved.get(path)!r}, now {now.get(path)!r})"
        for path in sorted(now.keys() | saved.keys())
        if now.get(path) != saved.get(path) and not (path in KEYS and KEYS[path].may_change)
    ]
    if differing:
        rest = len(differing) - 5
        shown = differing[:5] + ([f"and {rest} more"] if rest > 0 else [])
        raise UserError(
            f"{workdir} holds a run with another config: {'; '.join(shown)}",
            "give another --workdir, or the same keys",
        )
