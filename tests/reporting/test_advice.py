"""What a run says has gone wrong with it, and the remedies it names."""

import math
import re

import pytest
from conftest import load_config

import jaxgan.config as config_lib
from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.evaluation.results import MetricResult
from jaxgan.reporting.advice import advice, few_images

DATASET = {"train": 60_000, "image_shape": [28, 28, 1], "classes": list(range(10))}
SMALL, TINY = DATASET | {"train": 500}, DATASET | {"train": 40}
CGAN = {"system": "cgan", "condition.kind": "label"}
AUGMENT = "augment=color+translation+cutout"


def rows(*accuracies, seed=0, gradients=None):
    """A row for each accuracy, the same of real and of generated images."""
    gradients = gradients or [1.0] * len(accuracies)
    return [
        {"step": 10 * i, "seed": seed, "accuracy/real": accuracy, "accuracy/fake": accuracy}
        | {"gradient/generator": gradient}
        for i, (accuracy, gradient) in enumerate(zip(accuracies, gradients, strict=True), 1)
    ]


def measure(name, value, reference=None, checkpoint="last", seed=0, step=100):
    row = MetricResult(name, value, "1", "test", seed, step, checkpoint, "", reference=reference)
    return row.as_json()


def said(config, rows=(), measures=(), dataset=DATASET):
    return [str(finding) for finding in advice(config, rows, measures, dataset)]


def test_a_run_that_is_well_gets_no_advice():
    measures = [
        measure("pairwise_distance", 0.25, 0.3),
        measure("conditional_accuracy", 0.9, 0.99),
        measure("memorisation", -1.0, -0.5),
        measure("frechet_distance", 3.0, 0.5),
    ]
    assert said({}, rows(*[0.8] * 50), measures) == []
    assert said({}) == []


# --- The discriminator has won

WON = [0.7] * 40 + [1.0] * 10


def test_a_discriminator_that_is_always_right_at_the_end_has_won():
    [one] = said({}, rows(*WON))
    assert one == (
        "the discriminator has won: over the last 10 rows it is right on 100 % of the real and"
        " 100 % of the generated images. Try penalty.kind=r1, discriminator.norm=spectral or a"
        " discriminator.learning_rate below 0.0002."
    )


@pytest.mark.parametrize(
    ("config", "given"),
    [
        ({"loss": "wasserstein"}, rows(*WON)),
        ({}, rows(*WON[::-1])),
        ({}, rows(*[1.0] * 4)),
        ({}, rows(*[0.985] * 50)),
        ({}, [row | {"accuracy/fake": 0.9} for row in rows(*WON)]),
        ({}, [row | {"accuracy/fake": None} for row in rows(*WON)]),
        ({}, [{"step": 1, "seed": 0}] * 50),
    ],
    ids=["critic", "only at the start", "too few rows", "not quite", "one side", "null", "no rows"],
)
def test_a_discriminator_has_not_won(config, given):
    assert said(config, given) == []


def test_at_least_five_rows_count_as_the_end():
    assert said({}, rows(0.5, 1, 1, 1, 1)) == []
    assert "over the last 5 rows" in said({}, rows(0.5, 1, 1, 1, 1, 1))[0]


def test_a_gradient_that_has_vanished_is_said():
    vanished = rows(*WON, gradients=[4.0] * 40 + [0.1] * 10)
    assert "gradient/generator is down to 2.5 % of its median" in said({}, vanished)[0]
    lasting = rows(*WON, gradients=[4.0] * 40 + [3.0] * 10)
    assert "gradient/generator" not in said({}, lasting)[0]
    nothing = rows(*WON, gradients=[0.0] * 50)
    assert "gradient/generator" not in said({}, nothing)[0]


def test_the_seeds_concerned_are_named_with_their_range():
    given = rows(*[0.7] * 50) + rows(*[0.994] * 50, seed=1) + rows(*[0.999] * 50, seed=2)
    [one] = said({"seeds": 3}, given)
    assert one.startswith("seeds 1 and 2: the discriminator has won")
    assert "right on 99.4 % to 99.9 % of the real" in one
    assert said({"seeds": 3}, given[:100])[0].startswith("seed 1: ")


def test_few_images_are_augmented_first():
    [one] = said({}, rows(*WON), dataset=SMALL)
    assert f"Try {AUGMENT}, penalty.kind=r1" in one
    [one] = said({"augment": "cutout"}, rows(*WON), dataset=SMALL)
    assert "augment" not in one
    [one] = said(CGAN | {"condition.kind": "known_part"}, rows(*WON), dataset=SMALL)
    assert "augment" not in one


# --- Samples are alike


def test_images_closer_than_half_of_real_ones_are_alike():
    [one] = said({}, measures=[measure("pairwise_distance", 0.1, 0.3)])
    assert "two are 0.100 apart (pairwise_distance), real ones 0.300." in one
    assert (
        "penalty.kind=r1, discriminator.norm=spectral, more steps or another seed, such as" in one
    )
    [one] = said(CGAN, measures=[measure("pairwise_distance", 0.1, 0.3)])
    assert "two of the same label are" in one


@pytest.mark.parametrize(
    "row",
    [
        measure("pairwise_distance", 0.16, 0.3),
        measure("pairwise_distance", 0.1),
        measure("pairwise_distance", math.nan, 0.3),
        measure("pairwise_distance", 0.1, 0.3, "best"),
    ],
    ids=["apart", "no reference", "not a number", "the best ones"],
)
def test_images_are_not_alike(row):
    assert said({}, measures=[row]) == []


def test_another_seed_is_one_that_the_run_does_not_have():
    rows = [measure("pairwise_distance", 0.1, 0.3, seed=5)]
    [one] = said({"seed": 4, "seeds": 3}, measures=rows)
    assert one.startswith("seed 5: ")
    assert "such as seed=7" in one


# --- The label is ignored


def test_a_label_read_at_chance_is_ignored():
    [one] = said(CGAN, measures=[measure("conditional_accuracy", 0.12, 0.99)])
    assert "12 % of the generated images (conditional_accuracy; chance is 10 %)" in one
    assert "99 % of the real ones" in one
    assert one.endswith(
        "Try condition.how=projection, condition.how=auxiliary, mismatched_factor=0.5 with"
        " fake_factor=0.5 or more steps."
    )


def test_a_label_is_not_ignored_where_the_classifier_reads_it_or_reads_nothing():
    for value, reference in ((0.33, 0.99), (0.12, 0.5), (0.12, None)):
        row = measure("conditional_accuracy", value, reference)
        assert said(CGAN, measures=[row]) == []
    # Of two labels half are right by chance.
    row, two = measure("conditional_accuracy", 0.55, 0.99), DATASET | {"classes": [0, 1]}
    assert "chance is 50 %" in said(CGAN, measures=[row], dataset=two)[0]


# --- Copies


def test_images_closer_to_training_images_than_unseen_ones_are_copies():
    row = measure("memorisation", -12.0, -0.5)
    [one] = said({}, measures=[row])
    assert "by 12.0 standard deviations (memorisation)" in one
    assert f"Try {AUGMENT}, dataset.mirror=True (if a mirrored" in one
    assert "--checkpoint=best" not in one
    [one] = said({"augment": "color", "dataset.mirror": True}, measures=[row])
    assert one.endswith("Try more images.")


def test_real_images_that_are_close_too_are_no_sign_of_copies():
    assert said({}, measures=[measure("memorisation", -2.9)]) == []
    assert said({}, measures=[measure("memorisation", -4.0, -2.0)]) == []
    assert len(said({}, measures=[measure("memorisation", -4.0, 2.0)])) == 1


def test_best_networks_help_only_if_they_are_others_and_copy_less():
    last = measure("memorisation", -12.0)
    for best, helps in (
        (measure("memorisation", -5.0, None, "best", step=50), True),
        (measure("memorisation", -13.0, None, "best", step=50), False),
        (measure("memorisation", -12.0, None, "best"), False),
    ):
        assert ("--checkpoint=best" in said({}, measures=[last, best])[0]) == helps


# --- Few images


def test_fewer_than_a_hundred_images_are_few():
    assert said({}, dataset=TINY | {"train": 100}) == []
    [one] = said({}, dataset=TINY)
    assert one.startswith("40 training images are few")
    assert one.endswith(f"Try {AUGMENT} or more images.")
    assert said({"augment": "color"}, dataset=TINY)[0].endswith("Try more images.")
    assert said({}, dataset=TINY | {"image_shape": [1, 1, 2]}) == []


# --- Remedies

# "key=value", or two of them to be set together; not the flag --checkpoint=best.
CHANGE = re.compile(r"(?<!-)\b[a-z][\w.]*=[\w.+]*\w(?: with [\w.]+=[\w.]*\w)?")
EVERYTHING = [
    measure("pairwise_distance", 0.1, 0.3),
    measure("conditional_accuracy", 0.12, 0.99),
    measure("memorisation", -12.0),
]


@pytest.mark.parametrize(
    ("name", "arg"),
    [
        ("gan", ""),
        ("gan", "paper"),
        ("dcgan", ""),
        ("dcgan", "wgan_gp"),
        ("dcgan", "sngan"),
        ("cgan", ""),
        ("cgan", "mlp"),
        ("cgan", "condition.how=projection,mismatched_factor=0.5"),
        ("cgan", "condition.how=auxiliary"),
        ("cgan", "inpaint"),
        ("infogan", ""),
    ],
)
def test_every_remedy_is_a_valid_change_of_the_config(name, arg):
    config = load_config(name, arg)
    before = dict(config_lib.leaves(config))
    labelled = before["condition.kind"] == "label"
    measures = EVERYTHING if labelled else [EVERYTHING[0], EVERYTHING[2]]
    findings = advice(before, rows(*WON), measures, TINY)
    assert len(findings) == 4 + labelled - (before["loss"] == "wasserstein")
    changes = [change for finding in findings for change in CHANGE.findall(finding.remedy)]
    assert changes
    for change in changes:
        validate(changed(config, change))


def test_remedies_that_the_config_has_are_not_named():
    has = {"penalty.kind": "r1", "discriminator.norm": "spectral"}
    [one] = said(has, measures=[measure("pairwise_distance", 0.1, 0.3)])
    assert one.endswith("Try more steps or another seed, such as seed=1.")
    has = {"condition.how": "projection", "mismatched_factor": 0.5}
    [one] = said(CGAN | has, measures=[measure("conditional_accuracy", 0.12, 0.99)])
    assert one.endswith("Try more steps.")


def changed(config, change):
    """The config with the keys of "key=value with key=value", none of them as they were."""
    values = {}
    for pair in change.split(" with "):
        path, text = pair.split("=")
        old = config_lib.get(config, path)
        values[path] = text == "True" if isinstance(old, bool) else type(old)(text)
    assert any(config_lib.get(config, path) != value for path, value in values.items())
    return update(config.copy_and_resolve_references(), values)


def test_training_warns_of_few_images_with_the_same_words():
    config = dict(config_lib.leaves(load_config("gan")))
    assert [few_images(config, TINY)] == advice(config, [], [], TINY)
    assert few_images(config, SMALL) is None


# --- Few images to measure by


def counted(n_real, n_generated):
    return measure("frechet_distance", 3.0, 0.5) | {"n_real": n_real, "n_generated": n_generated}


def test_measures_of_few_unseen_images_vary_by_chance():
    [one] = said({}, measures=[counted(6, 6), counted(6, 5_000)])
    assert one.startswith("The measures are of only 6 real images, and vary by chance.")
    assert "a larger dataset.validation" in one


@pytest.mark.parametrize(("n_real", "n_generated"), [(100, 5_000), (40, 40), (0, 5_000), (6, 0)])
def test_measures_are_of_as_many_images_as_was_asked(n_real, n_generated):
    assert said({}, measures=[counted(n_real, n_generated)]) == []
