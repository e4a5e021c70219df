import re

import pytest
from conftest import ROOT, load_config
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan import config as config_lib
from jaxgan.common.errors import UserError
from jaxgan.config.keys import KEYS
from jaxgan.config.presets import apply_argument, base, get, leaves, update
from jaxgan.config.validation import validate

WORDS = {
    "first": {"steps": 1, "width": 0.5},
    "second": {"steps": 2},
    "third": {},
    "first,third": {"seed": 5},
}


def with_value(path, value):
    """The base config with one value of any type, as a config file could write it."""
    config = base()
    group, _, name = path.rpartition(".")
    with config.unlocked(), config.ignore_type():
        (get(config, group) if group else config)[name] = value
    return config


def test_the_base_config_is_valid_and_has_every_key():
    config = base()
    validate(config)
    assert dict(leaves(config)).keys() == KEYS.keys()


@pytest.mark.parametrize("path", sorted(p.name for p in (ROOT / "configs").glob("*.py")))
def test_every_config_is_valid(path):
    validate(load_config(path.removesuffix(".py")))


def test_words_take_effect_in_their_own_order_and_values_last():
    for arg in ("first,second", "second,first", " second , first "):
        config = apply_argument(base(), arg, WORDS)
        assert (config.steps, config.width) == (2, 0.5)
    assert apply_argument(base(), "third,first", WORDS).seed == 5
    assert apply_argument(base(), "third,second", WORDS).seed == 0
    assert apply_argument(base(), "first,third,seed=6", WORDS).seed == 6
    assert apply_argument(base(), "steps=7,second", WORDS).steps == 7
    assert apply_argument(base(), "dataset.replacement=true", WORDS).dataset.replacement is True


@pytest.mark.parametrize(
    ("arg", "said"),
    [
        ("frist", "unknown word 'frist'\nknown: first, second, third;"),
        ("stpes=3", "did you mean steps"),
        ("steps=x", "steps=x: not a whole number"),
        ("width=wide", "width=wide: not a number"),
        ("fresh_noise=1", "not true or false"),
    ],
)
def test_bad_arguments_are_named(arg, said):
    with pytest.raises(UserError, match=said):
        apply_argument(base(), arg, WORDS)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("steps", 0, "steps=0: must be at least 1"),
        ("sample_seconds", -0.5, "neither -1 nor a time"),
        ("mismatched_factor", 0.5, "is unconditional"),
        ("generator.output_bias", "data", "does not end in a dense layer"),
        ("batch_size", -3, "batch_size=-3"),
        ("seeds", 0, "seeds=0"),
        ("penalty.every", 2**31, "must be at most 2147483647"),
        ("steps", 10**20, "must be at most 2147483647"),
        ("log_every", 2**31, "must be at most 2147483647"),
        ("width", float("nan"), "not a finite number"),
        ("steps", 2.5, "the type is float, not int"),
        ("steps", True, "the type is bool, not int"),
        ("networks", "big", "choose from document, paper"),
        ("generator.beta1", 1.0, "must be at most 0.99999"),
        ("discriminator_batch_size", 32, "set fresh_noise=True"),
        ("dataset.size", 30, "not a multiple of 4"),
        ("loss", "wasserstein", "set penalty.kind=gradient and discriminator.norm=layer, or"),
        ("no_such_key", 1, "unknown key no_such_key"),
    ],
)
def test_values_out_of_their_limits_are_refused(path, value, said):
    with pytest.raises(UserError, match=said):
        validate(with_value(path, value))


def test_every_seed_of_a_run_is_within_the_limit():
    last = {"seed": 2**31 - 1}
    validate(update(base(), last))
    with pytest.raises(UserError, match=r"seed=2147483647: with seeds=2 the last one is above"):
        validate(update(base(), last | {"seeds": 2}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"order": "generator_first"}, "choose order=discriminator_first"),
        ({"discriminator_batch_size": 8, "fresh_noise": True}, "masks have different shapes"),
    ],
)
def test_a_mask_is_shared_only_with_an_update_before_of_equal_size(values, said):
    shared = {"discriminator.shared_dropout": True}
    validate(config_lib.update(base(), shared))
    with pytest.raises(UserError, match=said):
        validate(config_lib.update(base(), shared | values))


@pytest.mark.parametrize(
    ("config", "generator", "discriminator", "inputs"),
    [
        ("gan", False, False, False),
        ("gan:paper", False, True, True),
        ("dcgan", True, True, False),
        ("cgan", False, False, False),
        ("cgan:mlp", True, True, True),
        ("infogan", False, False, False),
        ("tags", True, True, True),
    ],
)
def test_dropout_of_networks_that_have_none_is_refused(config, generator, discriminator, inputs):
    for path, known in (
        ("generator.dropout", generator),
        ("discriminator.dropout", discriminator),
        ("discriminator.input_dropout", inputs),
    ):
        changed = config_lib.update(load_config(*config.split(":")), {path: 0.25})
        if known:
            validate(changed)
        else:
            with pytest.raises(UserError, match=f"{path}=0.25: .* networks have none"):
                validate(changed)


def test_the_best_by_codes_needs_a_categorical_one():
    for codes in ("", "uniform:2"):
        with pytest.raises(UserError, match="has no categorical code"):
            validate(with_value("latent.codes", codes))


@pytest.mark.parametrize("path", ["q.rotation", "q.shift", "q.scale", "q.ema_decay"])
def test_systems_without_codes_refuse_the_keys_of_q(path):
    for name in ("gan", "dcgan", "cgan", "tags"):
        with pytest.raises(UserError, match=f"{path}=0.5: {name} has no codes"):
            validate(config_lib.update(load_config(name), {path: 0.5}))


@pytest.mark.parametrize(
    ("name", "arg", "low"), [("dcgan", "", 16), ("cgan", "", 16), ("infogan", "", 4)]
)
def test_convolutional_networks_take_multiples_of_four_in_their_limits(name, arg, low):
    for size in (low, 100, 256):
        load_config(name, f"{arg},size={size}")
    for size in (low - 4, 260):
        with pytest.raises(UserError, match=rf"dataset\.size={size}: .*(at least|256x256)"):
            load_config(name, f"{arg},size={size}")
    with pytest.raises(UserError, match=r"dataset\.size=30: not a multiple of 4\nchoose one"):
        load_config(name, f"{arg},size=30")


def test_fully_connected_networks_take_any_multiple_of_four():
    for name, arg in (("gan", ""), ("gan", "paper"), ("cgan", "mlp")):
        for size in (8, 512):
            load_config(name, f"{arg},size={size}")


@settings(max_examples=60)
@given(st.sampled_from(sorted(KEYS)), st.sampled_from([0, -1, 1e9, "x", True, None]))
def test_a_value_is_either_valid_or_refused_by_name(path, value):
    try:
        validate(with_value(path, value))
    except UserError as error:
        assert path in str(error)


def test_only_some_keys_may_change():
    saved = dict(leaves(base()))
    changed = base()
    changed.steps = 99
    changed.log_every = 7
    config_lib.refuse_changes(changed, saved, "runs/x")
    changed.width = 0.5
    changed.seed = 3
    with pytest.raises(UserError) as error:
        config_lib.refuse_changes(changed, saved, "runs/x")
    assert "seed (was 0, now 3)" in str(error.value)
    assert "width (was 1.0, now 0.5)" in str(error.value)
    assert "steps" not in str(error.value)


def test_of_many_keys_that_differ_the_first_five_are_named():
    changed = config_lib.update(
        base(), {f"generator.{name}": 0.25 for name in ("beta1", "beta2", "rho")}
    )
    changed = config_lib.update(changed, {"width": 0.5, "seed": 3, "seeds": 2, "loss": "hinge"})
    with pytest.raises(UserError) as error:
        config_lib.refuse_changes(changed, dict(leaves(base())), "runs/x")
    assert str(error.value).count("was") == 5
    assert "; and 2 more\n" in str(error.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("generator.lr", "did you mean generator.learning_rate"),
        ("beta1", "did you mean discriminator.beta1 or generator.beta1?"),
        ("classes", "did you mean dataset.classes?"),
        ("stpes", "did you mean steps"),
        ("zzz", "docs/reference.md lists the keys"),
    ],
)
def test_the_nearest_key_is_named(path, said):
    assert config_lib.nearest(path).startswith(said)


def test_the_reference_lists_every_key_and_no_other():
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    section = text.split("## Keys", 1)[1].split("\n## ", 1)[0]
    cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    listed = {key for cell in cells for key in re.findall(r"`([^`]+)`", cell)}
    assert listed == KEYS.keys()
