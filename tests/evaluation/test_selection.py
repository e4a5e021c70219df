"""The choice among the seeds of a run, and what their codes say together."""

import dataclasses

import numpy as np
import pytest

from jaxgan.evaluation.context import PredictedCodes, RealCodes
from jaxgan.evaluation.results import MetricResult
from jaxgan.evaluation.selection import SeedCodes, choose_seed, compare_seeds
from jaxgan.models.infogan import CategoricalParameters, GaussianParameters
from jaxgan.models.latents import parse_codes

VALUES, SPLITS = 4, ("train", "validation", "test")


def labels_of(split):
    return np.random.default_rng(SPLITS.index(split)).integers(VALUES, size=400)


def reads(seed, errors, checkpoint="best"):
    """A seed that predicts a renamed label, but for a share of errors of its own."""
    generator, codes = np.random.default_rng(10 + seed), {}
    names = generator.permutation(VALUES)
    for split in SPLITS:
        labels = labels_of(split)
        wrong = generator.random(len(labels)) < errors
        predicted = names[np.where(wrong, generator.integers(VALUES, size=len(labels)), labels)]
        # Where it errs, it is less certain.
        logits = np.where(wrong, 1, 3)[:, None] * np.eye(VALUES)[predicted]
        parameters = (CategoricalParameters(logits),)
        codes[split] = PredictedCodes(split, len(labels), labels, parameters)
    return SeedCodes({"seed": seed, "step": 5, "checkpoint": checkpoint}, RealCodes(**codes))


CATEGORICAL = parse_codes(f"categorical:{VALUES}")
SEEDS = [reads(0, 0.4), reads(1, 0.1), reads(2, 0.3), reads(3, 0.5)]


def values(rows, name):
    return {row.seed: row.value for row in rows if row.name == name}


def test_the_seed_with_the_fewest_errors_is_chosen_and_agrees_best():
    rows = compare_seeds(CATEGORICAL, SEEDS)
    for name in ("seed_information", "seed_agreement"):
        found = values(rows, name)
        assert sorted(found, key=found.get) == [3, 0, 2, 1]
    assert choose_seed(rows, {}, "code_information") == {"seed": 1, "by": "seed_information"}
    information = values(rows, "seed_information")
    assert all(0 < value < np.log(VALUES) for value in information.values())
    assert {row.split for row in rows if row.name == "seed_agreement"} == {"validation"}


def test_together_the_seeds_err_less_than_they_do_on_average():
    rows = compare_seeds(CATEGORICAL, SEEDS)
    [consensus] = [row for row in rows if row.name == "consensus_code_accuracy"]
    # Errors hit the right value by chance a quarter of the time.
    alone = np.mean([1 - errors * 3 / 4 for errors in (0.4, 0.1, 0.3, 0.5)])
    assert consensus.value > alone + 0.1
    assert (consensus.seed, consensus.split, consensus.n_real) == (1, "test", 400)


def test_no_label_is_used_to_choose():
    def relabelled(seed):
        return seed._replace(
            codes=RealCodes(*(one._replace(labels=one.labels[::-1]) for one in seed.codes))
        )

    rows = compare_seeds(CATEGORICAL, [relabelled(seed) for seed in SEEDS])
    for name in ("seed_information", "seed_agreement"):
        known = values(compare_seeds(CATEGORICAL, SEEDS), name)
        assert values(rows, name) == pytest.approx(known)
    # It is used to measure.
    assert values(rows, "consensus_code_accuracy")[1] < 0.5


def test_without_labels_there_is_no_consensus_accuracy():
    bare = [
        seed._replace(codes=RealCodes(*(one._replace(labels=None) for one in seed.codes)))
        for seed in SEEDS
    ]
    names = {row.name for row in compare_seeds(CATEGORICAL, bare)}
    assert names == {"seed_information", "seed_agreement"}


def test_continuous_codes_are_compared_by_rank():
    factors = np.random.default_rng(0).normal(size=(300, 2, 1))

    def seed(number, means):
        parameters = tuple(GaussianParameters(mean, np.zeros_like(mean)) for mean in means)
        split = PredictedCodes("validation", 300, None, parameters)
        about = {"seed": number, "step": 5, "checkpoint": "last"}
        return SeedCodes(about, RealCodes(split, split, split))

    one, two = factors[:, 0], factors[:, 1]
    seeds = [seed(7, (one, two)), seed(8, (-two, np.exp(one))), seed(9, (one + two, one - two))]
    rows = compare_seeds(parse_codes("uniform:2"), seeds)
    agreement = values(rows, "seed_agreement")
    assert agreement[9] < min(agreement[7], agreement[8]) - 0.1
    assert agreement[7] == pytest.approx(agreement[8], abs=0.02)


def test_best_and_last_networks_are_compared_among_themselves():
    last = [reads(seed, 0.2, "last") for seed in range(2)]
    rows = compare_seeds(CATEGORICAL, last + SEEDS[:1])
    assert {row.checkpoint for row in rows} == {"last"}
    assert len(values(rows, "seed_agreement")) == 2
    assert compare_seeds(CATEGORICAL, SEEDS[:1]) == compare_seeds((), SEEDS) == []


def test_of_two_seeds_with_continuous_codes_the_score_chooses():
    """Each agrees with the other as the other agrees with it."""
    about = {"unit": "1", "split": "validation", "step": 5, "checkpoint": "best", "protocol": ""}
    rows = [MetricResult("seed_agreement", 0.5, seed=seed, **about) for seed in (0, 1, 2)]
    by = "code_information"
    assert choose_seed(rows[:2], {0: 1.0, 1: 2.0}, by) == {"seed": 1, "by": by}
    better = dataclasses.replace(rows[2], value=0.6)
    chosen = choose_seed([*rows[:2], better], {0: 1.0, 1: 2.0, 2: 0.0}, by)
    assert chosen == {"seed": 2, "by": "seed_agreement"}


def test_without_codes_the_score_on_the_validation_split_chooses():
    assert choose_seed([], {3: -2.0, 4: -1.5}, "frechet_distance") == {
        "seed": 4,
        "by": "frechet_distance",
    }
    assert choose_seed([], {3: -2.0}, "frechet_distance") is None
    other = MetricResult("nmi", 1.0, "1", "test", 0, 5, "best", "")
    assert choose_seed([other], {}, "none") is None
