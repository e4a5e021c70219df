"""Checks of a run before its first start: a key that would have no effect is refused, so that no
wish is dropped in silence.

They are not part of `validate`, since a run that began before a check was written is still read and
continued.
"""

from collections.abc import Callable
from typing import NamedTuple

from ml_collections import ConfigDict

from jaxgan.common.errors import UserError
from jaxgan.config.keys import KEYS, MOST_IMAGES, WITH_TAGS
from jaxgan.config.presets import get

# Datasets that come with jaxgan, also stacked.
_BUILT_IN = ("digits", "glyphs", "ring", "glyph_tags")


class _Unused(NamedTuple):
    """Keys that some runs do not read: which runs, and why not (formatted with the config)."""

    paths: tuple[str, ...]
    by: Callable[[ConfigDict], bool]
    why: str


_UNUSED = (
    _Unused(
        ("information", "lambda_categorical", "lambda_continuous", "q.continuous", "q.deviation"),
        lambda config: config.system != "infogan",
        "{system} has no codes",
    ),
    _Unused(
        ("condition.prior", "condition.embedding"),
        lambda config: config.condition.kind != "label",
        "the networks are not conditioned on a label",
    ),
    _Unused(
        ("condition.hole",),
        lambda config: config.condition.kind != "known_part",
        "the networks are not conditioned on a part of the image",
    ),
    _Unused(
        ("dataset.features", "dataset.words", "dataset.vector_size", "dataset.min_count"),
        lambda config: config.dataset.name not in WITH_TAGS,
        "{dataset.name} has no tags",
    ),
    _Unused(
        ("networks", "dataset.size"),
        lambda config: config.system == "tags",
        "{system} has one kind of networks, whose examples are vectors",
    ),
)


def check_new_run(config: ConfigDict, dataset_given: bool = False) -> None:
    """Checks a validated config before its first start.

    Args:
      config: the run's config.
      dataset_given: whether the dataset is passed in from Python, so that nothing is read.

    Raises:
      UserError: naming a key that would have no effect, or more images than metrics can take.
    """
    for paths, unused, why in _UNUSED:
        for path in paths:
            value, default = get(config, path), KEYS[path].default
            if value != default and unused(config):
                raise UserError(
                    f"{path}={value}: {why.format(**config)}", f"leave it at {default!r}"
                )
    if not dataset_given:
        _check_data_dir(config.dataset)
    for name in ("generator", "discriminator"):
        _check_momentum(name, config[name])
    for path in ("eval_images", "results_images"):
        if get(config, path) > MOST_IMAGES:
            what = f"{path}={get(config, path)}: metrics take at most {MOST_IMAGES:,} images"
            raise UserError(what, "lower it")
    d = config.discriminator
    if d.shared_dropout and not d.dropout and not d.input_dropout:
        what = "discriminator.shared_dropout=True: the discriminator has no dropout"
        raise UserError(what, "set discriminator.dropout, or leave it at False")


def _check_data_dir(dataset: ConfigDict) -> None:
    if dataset.data_dir and dataset.name.removeprefix("stacked_") in _BUILT_IN:
        raise UserError(
            f"dataset.data_dir={dataset.data_dir}: {dataset.name} comes with jaxgan and is not read"
            " from there",
            "for your own images set dataset.name=folder, idx or csv; else leave it out",
        )


def _check_momentum(name: str, player: ConfigDict) -> None:
    """Without a ramp only the first update has the first momentum."""
    if (
        player.optimizer == "sgd"
        and not player.momentum_steps
        and player.momentum != player.final_momentum
    ):
        raise UserError(
            f"{name}.momentum={player.momentum}: with momentum_steps=0 every update but the first"
            f" has {name}.final_momentum={player.final_momentum}",
            "set both to the same",
        )
