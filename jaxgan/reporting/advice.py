"""What has gone wrong in a run, and which config keys of this suite help: read from the files that
the run has written, so that training, evaluation and the report say the same."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxgan.config.keys import AUGMENTATIONS, KEYS
from jaxgan.evaluation.results import FEW_REAL

Row = Mapping[str, Any]

# Right on 99 of 100 images of either kind, the discriminator finds almost no overlap of the two
# distributions; a generator that keeps up leaves it right on 50 to 90 % of its images.
WON = 0.99
# The share of the rows that are the end of a run, and how many they are at least: the accuracies of
# a single batch vary too much.
END, LEAST_ROWS = 0.2, 5
# Of three runs on the digits that were well, the norm ended at .7 to 1.4 of its median.
FALLEN = 0.5
# On the digits: .87 of the reference after 3,000 updates with penalty.kind=r1, .62 of a conditional
# GAN that is still blurred after 300, .46 where nearly all of the images show one digit.
ALIKE = 0.5
# Of the way from chance to 1. A generator that ignores its label is at chance; one that confuses
# some labels is far above a quarter of the way.
ABOVE_CHANCE = 0.25
# A classifier that misreads half of the real images says nothing about generated ones.
CLASSIFIER_ABOVE_CHANCE = 0.5
# Three standard deviations of the statistic of a generator that copies nothing (Meehan et al.).
COPIES = -3.0
# The smallest datasets on which Zhao et al. 2020 train a GAN, with augmentation.
FEW_IMAGES = 100
# With fewer, the discriminator knows each image by heart before the generator has learned anything
# (Karras et al. 2020 and Zhao et al. 2020), and a penalty only slows that down.
SMALL_DATASET = 1_000

_AUGMENT = "augment=" + "+".join(AUGMENTATIONS)


class Finding(NamedTuple):
    """What has gone wrong, and what may help: two sentences of plain text."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}"


def advice(
    config: Mapping[str, Any],
    rows: Iterable[Row],
    measures: Iterable[Row],
    dataset: Mapping[str, Any],
) -> list[Finding]:
    """The findings about a run, the most fundamental first; none of a run that is well.

    Args:
      config: from path to value, as in `config.json`; absent keys are at their defaults.
      rows: of `metrics.jsonl`.
      measures: of `results.json`; none of a run in training.
      dataset: as in `config.json`: its `train`, the number of training images, its `image_shape`
        and its `classes`.
    """
    config = {path: key.default for path, key in KEYS.items()} | dict(config)
    last = [measure for measure in measures if measure["checkpoint"] == "last"]
    best = [measure for measure in measures if measure["checkpoint"] == "best"]
    found = [
        few_images(config, dataset),
        _few_unseen(last),
        _discriminator_won(config, dataset, rows),
        _samples_alike(config, last),
        _label_ignored(config, dataset, last),
        _copies(config, dataset, last, best),
    ]
    return [finding for finding in found if finding is not None]


def few_images(config: Mapping[str, Any], dataset: Mapping[str, Any]) -> Finding | None:
    """The finding about a small dataset, which training also prints at its start.

    Args:
      config: from path to value, all keys.
      dataset: as for `advice`, without `classes`.
    """
    images = dataset["train"]
    if images >= FEW_IMAGES or not _has_images(dataset):
        return None
    what = f"{images} training images are few: the discriminator soon knows each of them by heart."
    return Finding(what, _try(*_augment(config, dataset), "more images"))


def _few_unseen(last: Sequence[Row]) -> Finding | None:
    counts = [(row.get("n_real", 0), row.get("n_generated", 0)) for row in last]
    # With a small --n there are as few generated images, and the number was the user's choice.
    few = [real for real, generated in counts if 0 < real < min(FEW_REAL, generated)]
    if not few:
        return None
    what = f"The measures are of only {max(few)} real images, and vary by chance."
    more = "a larger dataset.validation, which leaves fewer images to train on"
    return Finding(what, _try("more images", more))


def _discriminator_won(
    config: Mapping[str, Any], dataset: Mapping[str, Any], rows: Iterable[Row]
) -> Finding | None:
    if config["loss"] == "wasserstein":  # Its critic has no boundary between real and generated.
        return None
    real, fake, lengths, fallen = {}, {}, [], []
    for seed, of_seed in _by_seed(rows).items():
        end = of_seed[-max(LEAST_ROWS, math.ceil(END * len(of_seed))) :]
        of_real, of_fake = (_mean(end, f"accuracy/{name}") for name in ("real", "fake"))
        if len(end) < LEAST_ROWS or not (of_real > WON and of_fake > WON):
            continue
        real[seed], fake[seed] = of_real, of_fake
        lengths.append(len(end))
        usual = statistics.median(_values(of_seed, "gradient/generator") or [math.nan])
        ratio = _mean(end, "gradient/generator") / usual if usual else math.nan
        fallen += [ratio] if ratio < FALLEN else []
    if not real:
        return None
    what = (
        f"{_seeds(config, real)}the discriminator has won: over the last {max(lengths)} rows it is"
        f" right on {_range(real.values(), _percent)} of the real and"
        f" {_range(fake.values(), _percent)} of the generated images"
    )
    if fallen:
        what += f", and gradient/generator is down to {_range(fallen, _percent)} of its median"
    rate = f"a discriminator.learning_rate below {config['discriminator.learning_rate']:g}"
    first = _augment(config, dataset) if dataset["train"] < SMALL_DATASET else []
    return Finding(f"{what}.", _try(*first, *_smoother(config), rate))


def _samples_alike(config: Mapping[str, Any], last: Sequence[Row]) -> Finding | None:
    found = {
        row["seed"]: row
        for row in _named(last, "pairwise_distance")
        if row["reference"] is not None and row["value"] < ALIKE * row["reference"]
    }
    if not found:
        return None
    same = " of the same label" * (config["condition.kind"] == "label")
    what = (
        f"{_seeds(config, found)}the generated images are alike: two{same} are"
        f" {_range((row['value'] for row in found.values()), _decimals)} apart (pairwise_distance),"
        f" real ones {_range((row['reference'] for row in found.values()), _decimals)}."
    )
    # On the digits, configs/gan.py: .46 of the reference after 3,000 updates, .64 after 9,000, .87
    # after 3,000 with r1. Spectral normalisation helped only a fast discriminator: it comes second.
    another = f"another seed, such as seed={config['seed'] + config['seeds']}"
    return Finding(what, _try(*_smoother(config), "more steps", another))


def _label_ignored(
    config: Mapping[str, Any], dataset: Mapping[str, Any], last: Sequence[Row]
) -> Finding | None:
    chance = 1 / max(len(dataset["classes"]), 1)
    found = {
        row["seed"]: row
        for row in _named(last, "conditional_accuracy")
        if row["value"] < chance + ABOVE_CHANCE * (1 - chance)
        and (row["reference"] or 0) > chance + CLASSIFIER_ABOVE_CHANCE * (1 - chance)
    }
    if not found:
        return None
    what = (
        f"{_seeds(config, found)}the label is ignored: the classifier reads it in"
        f" {_range((row['value'] for row in found.values()), _percent)} of the generated images"
        f" (conditional_accuracy; chance is {_percent(chance)}), and in"
        f" {_range((row['reference'] for row in found.values()), _percent)} of the real ones."
    )
    how, mismatched = config["condition.how"], config["mismatched_factor"] > 0
    remedies = []
    if how != "projection":
        remedies.append("condition.how=projection")
    if how != "auxiliary":
        # The auxiliary discriminator judges images without their label, so none can mismatch.
        remedies += [] if mismatched else ["condition.how=auxiliary"]
        remedies += [] if mismatched else ["mismatched_factor=0.5 with fake_factor=0.5"]
    return Finding(what, _try(*remedies, "more steps"))


def _copies(
    config: Mapping[str, Any],
    dataset: Mapping[str, Any],
    last: Sequence[Row],
    best: Sequence[Row],
) -> Finding | None:
    found = {
        row["seed"]: row
        for row in _named(last, "memorisation")
        # Where real images of another split are below 0 as well, the splits differ.
        if row["value"] < COPIES + min(row["reference"] or 0, 0)
    }
    if not found:
        return None
    what = (
        f"{_seeds(config, found)}generated images are copies of training images: they are closer to"
        " these than unseen images are, by"
        f" {_range((-row['value'] for row in found.values()), '{:.1f}'.format)} standard deviations"
        " (memorisation)."
    )
    remedies = _augment(config, dataset)
    if not config["dataset.mirror"]:
        remedies.append("dataset.mirror=True (if a mirrored image is still a valid one)")
    remedies.append("more images")
    earlier = {
        row["seed"]
        for row in _named(best, "memorisation")
        if row["seed"] in found and row["value"] > found[row["seed"]]["value"]
    }
    if earlier:
        remedies.append("the best networks instead of the last (--checkpoint=best)")
    return Finding(what, _try(*remedies))


# --- Remedies


def _augment(config: Mapping[str, Any], dataset: Mapping[str, Any]) -> list[str]:
    fits = _has_images(dataset) and config["condition.kind"] != "known_part"
    return [_AUGMENT] if fits and not config["augment"] else []


def _smoother(config: Mapping[str, Any]) -> list[str]:
    """What bounds the discriminator's slope, so that it cannot tell the two sets apart at once."""
    remedies = ["penalty.kind=r1"] if config["penalty.kind"] == "none" else []
    spectral = config["discriminator.norm"] == "spectral"
    return remedies + ([] if spectral else ["discriminator.norm=spectral"])


def _has_images(dataset: Mapping[str, Any]) -> bool:
    """Whether the examples are images, not points or word vectors."""
    return tuple(dataset["image_shape"])[:2] != (1, 1)


def _try(*remedies: str) -> str:
    *others, final = remedies
    return f"Try {', '.join(others)}{' or ' * bool(others)}{final}."


# --- Rows and words


def _by_seed(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["seed"], []).append(row)
    return found


def _values(rows: Iterable[Row], name: str) -> list[float]:
    """The finite numbers of this name; a run of someone else may have none."""
    values = (row.get(name) for row in rows)
    return [value for value in values if value is not None and math.isfinite(value)]


def _mean(rows: Iterable[Row], name: str) -> float:
    values = _values(rows, name)
    return statistics.fmean(values) if values else math.nan


def _named(measures: Iterable[Row], name: str) -> list[Row]:
    return [measure for measure in measures if measure["name"] == name]


def _seeds(config: Mapping[str, Any], found: Iterable[int]) -> str:
    """Names the seeds concerned, in a run of several."""
    if config["seeds"] == 1:
        return ""
    *others, final = map(str, sorted(found))
    return f"seeds {', '.join(others)} and {final}: " if others else f"seed {final}: "


def _range(values: Iterable[float], write: Callable[[float], str]) -> str:
    lowest, *_, highest = sorted(values) * 2
    return " to ".join(dict.fromkeys((write(lowest), write(highest))))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _decimals(value: float) -> str:
    return f"{value:.3f}"
