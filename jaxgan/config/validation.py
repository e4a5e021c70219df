"""Checks of a config: each key's value, and combinations of keys."""

import math
from typing import Any

from ml_collections import ConfigDict

from jaxgan.common.errors import UserError
from jaxgan.config.keys import (
    AUGMENTATIONS,
    CONVOLUTIONAL_SIZES,
    FROM_FILES,
    KEYS,
    MOST,
    WITH_TAGS,
    Key,
)
from jaxgan.config.presets import get, leaves, nearest


def validate(config: ConfigDict) -> None:
    """Checks every key's type, choices and limits, and which keys go together; raises UserError
    naming the first invalid key."""
    present = dict(leaves(config))
    for path in present:
        if path not in KEYS:
            raise UserError(f"config: unknown key {path}", nearest(path))
    for path, key in KEYS.items():
        if path not in present:
            raise UserError(f"config: the key {path} is missing", "start from jaxgan.config.base()")
        check_value(path, present[path], key)
    for path in ("sample_seconds", "checkpoint_seconds"):
        if -1 < get(config, path) < 0:
            what = f"{path}={get(config, path)}: neither -1 nor a time"
            raise UserError(what, "-1 leaves it to the kind of device")
    if config.seed + config.seeds > 2**31:
        what = f"seed={config.seed}: with seeds={config.seeds} the last one is above {2**31 - 1:,}"
        raise UserError(what, "lower the seed")
    _check_condition(config)
    if config.networks == "authors" and config.system != "infogan":
        what = "networks=authors: only infogan has these networks"
        raise UserError(what, "choose document or paper")
    _check_codes(config)
    _check_losses(config)
    _check_augment(config)
    _check_norm(config)
    _check_dropout(config)
    _check_shared_dropout(config)
    _check_output_bias(config)
    _check_discriminator_batch_size(config)
    _check_dataset(config.dataset)
    check_size(config, config.dataset.size)
    if config.dataset.name == "ring":
        _check_ring(config)
    _check_tags(config)


def _check_dataset(dataset: ConfigDict) -> None:
    name = dataset.name.removeprefix("stacked_")
    if dataset.validation >= 0 and name in ("digits", "glyphs", "glyph_tags", "ring"):
        raise UserError(f"dataset.validation: the split of {name} is fixed", "leave it at -1")
    if dataset.near_duplicates != "keep" and dataset.name.startswith("stacked_"):
        raise UserError(
            f"dataset.near_duplicates={dataset.near_duplicates}: {dataset.name} draws its digits"
            " by chance",
            "leave it at keep",
        )
    if dataset.images and (name in ("ring", *WITH_TAGS) or dataset.name.startswith("stacked_")):
        what = f"dataset.images={dataset.images}: not for {dataset.name}"
        raise UserError(what, "leave it at 0")
    if not dataset.data_dir and name in FROM_FILES:
        raise UserError(
            f"dataset.data_dir is missing: dataset.name={name} needs {FROM_FILES[name]}",
            "set it with --config.dataset.data_dir=…",
        )
    if dataset.channels not in (0, 1, 3):
        raise UserError(f"dataset.channels={dataset.channels}: choose 0 (the source's own), 1 or 3")
    if dataset.channels and name != "folder":
        raise UserError(
            f"dataset.channels={dataset.channels}: only dataset.name=folder can choose",
            "leave it at 0 (the source's own)",
        )
    if dataset.fit != "crop" and name != "folder":
        raise UserError(
            f"dataset.fit={dataset.fit}: only dataset.name=folder can choose", "leave it at crop"
        )


def check_size(config: ConfigDict, size: int) -> None:
    """Raises UserError if the config's networks cannot make images of size x size."""
    if size % 4:
        raise UserError(
            f"dataset.size={size}: not a multiple of 4",
            f"choose one, such as {size + -size % 4}; the images are resized",
        )
    fully_connected = config.system == "cgan" and config.networks == "paper"
    if fully_connected or config.system not in CONVOLUTIONAL_SIZES:
        return
    low, high = CONVOLUTIONAL_SIZES[config.system]
    if not low <= size <= high:
        raise UserError(
            f"dataset.size={size}: {config.system}'s convolutional networks make images from"
            f" {low}x{low} to {high}x{high}",
            "choose a multiple of 4 between them; the images are resized",
        )


def _check_ring(config: ConfigDict) -> None:
    """Points have no size and no classes to choose, and only configs/gan.py generates them."""
    required = {
        "system": "gan",
        "dataset.classes": "",
        "dataset.size": KEYS["dataset.size"].default,
        "dataset.near_duplicates": "keep",
    }
    for path, value in required.items():
        if get(config, path) != value:
            raise UserError(
                f"{path}={get(config, path)}: dataset.name=ring has points, not images, and needs"
                f" {path}={value!r}",
                f"set {path}={value}, or use --config=configs/gan.py:ring without it",
            )


def _check_tags(config: ConfigDict) -> None:
    """system=tags needs a dataset with tags and its features; other systems take neither."""
    system, name, kind = config.system, config.dataset.name, config.condition.kind
    remedy = "use --config=configs/tags.py"
    if system != "tags":
        if kind == "features":
            raise UserError(f"condition.kind=features: {system} takes no features", remedy)
        if name in WITH_TAGS:
            raise UserError(f"dataset.name={name}: {system} makes no tags", remedy)
        if config.best_by == "tag_precision":
            raise UserError(f"best_by=tag_precision: {system} makes no tags", "choose another")
        return
    if kind != "features":
        raise UserError(f"condition.kind={kind}: system=tags needs features", remedy)
    if name not in WITH_TAGS:
        raise UserError(
            f"dataset.name={name}: system=tags needs tags", f"choose from {', '.join(WITH_TAGS)}"
        )
    if config.dataset.classes:
        raise UserError(f"dataset.classes={config.dataset.classes}: tags are not classes", remedy)
    if config.dataset.near_duplicates != "keep":
        raise UserError(
            "dataset.near_duplicates=leave_out: word vectors are not images", "leave it at keep"
        )
    if config.best_by not in ("none", "tag_precision"):
        raise UserError(f"best_by={config.best_by}: not for tags", "choose tag_precision or none")


def _check_condition(config: ConfigDict) -> None:
    kind, system = config.condition.kind, config.system
    if config.mismatched_factor and kind == "none":
        raise UserError(
            f"mismatched_factor={config.mismatched_factor}: {system} is unconditional, so no"
            " condition can be mismatched",
            "use configs/cgan.py or configs/tags.py, or leave it at 0",
        )
    if system == "infogan" and kind != "none":
        raise UserError(f"condition.kind={kind}: InfoGAN is unconditional", "use configs/cgan.py")
    how = config.condition.how
    if how != "concatenate" and kind in ("none", "known_part"):
        what = f"condition.how={how}: the condition ({kind}) is not a vector"
        remedy = "leave it at concatenate" if system == "infogan" else "choose condition.kind=label"
        raise UserError(what, remedy)
    if how == "auxiliary" and kind != "label":
        what = f"condition.how=auxiliary: it classifies labels, and condition.kind is {kind}"
        raise UserError(what, "choose projection or concatenate")
    if how == "auxiliary" and config.mismatched_factor:
        raise UserError(
            f"mismatched_factor={config.mismatched_factor}: with condition.how=auxiliary the"
            " discriminator's logit does not depend on the condition",
            "choose projection or concatenate, or leave it at 0",
        )
    if system == "cgan" and kind == "none":
        raise UserError("condition.kind=none: system=cgan needs one", "choose label or known_part")
    if kind == "known_part" and system != "cgan":
        raise UserError(f"condition.kind={kind}: {system} cannot fill holes", "use configs/cgan.py")
    if kind == "known_part" and config.networks == "paper":
        raise UserError(
            "condition.kind=known_part: the fully connected networks cannot fill holes",
            "use configs/cgan.py:inpaint",
        )
    if system != "infogan" and config.latent.codes:
        raise UserError(f"latent.codes={config.latent.codes}: {system} has none", "leave it empty")
    if system not in ("infogan", "tags") and config.best_by == "code_information":
        raise UserError(
            f"best_by=code_information: {system} has no codes",
            "choose parzen_log_likelihood, frechet_distance or none",
        )
    kinds = {part.partition(":")[0].strip() for part in config.latent.codes.split("+")}
    # A code of an unknown kind is named where the codes are made.
    if config.best_by == "code_information" and kinds <= {"", "uniform", "gaussian"}:
        raise UserError(
            f"best_by=code_information: latent.codes={config.latent.codes} has no categorical code",
            "choose parzen_log_likelihood, frechet_distance or none",
        )


def _check_losses(config: ConfigDict) -> None:
    """A penalty needs the examples that it is computed at; a Wasserstein critic must be bounded."""
    kind, batches = config.penalty.kind, config.discriminator_batches
    if kind == "gradient" and batches != "together":
        raise UserError(
            f"penalty.kind=gradient: with discriminator_batches={batches} real and generated images"
            " are never in one update",
            "choose discriminator_batches=together",
        )
    labelled = config.condition.kind == "label" and config.condition.how != "auxiliary"
    uniform = labelled and config.condition.prior == "uniform"
    if kind == "gradient" and uniform:
        raise UserError(
            "penalty.kind=gradient: with condition.prior=uniform a point between a real and a"
            " generated image has two labels",
            "choose condition.prior=data, or penalty.kind=r1",
        )
    penalised = kind != "none" and config.penalty.weight > 0
    bounded = penalised or config.discriminator.norm == "spectral"
    of_real = config.real_factor * (2 * config.real_target - 1)
    of_fake = (config.fake_factor + config.mismatched_factor) * (2 * config.fake_target - 1)
    if config.loss == "wasserstein" and not math.isclose(of_real, -of_fake):
        raise UserError(
            f"loss=wasserstein: real images weigh {of_real:g} and generated ones {-of_fake:g}, so"
            " that adding a constant to every logit lowers the loss without end",
            "set real_target=1, fake_target=0 and fake_factor + mismatched_factor = real_factor",
        )
    if config.loss == "wasserstein" and not bounded:
        norm = "" if _is_dense(config) else " and discriminator.norm=layer"
        raise UserError(
            "loss=wasserstein: nothing bounds the critic's slope, so its loss has no minimum",
            f"set penalty.kind=gradient{norm}, or only discriminator.norm=spectral",
        )
    if config.penalty.every > 1 and kind == "none":
        what = f"penalty.every={config.penalty.every}: there is no penalty"
        raise UserError(what, "set penalty.kind, or leave it at 1")


def _check_augment(config: ConfigDict) -> None:
    for name in config.augment.split("+") if config.augment else ():
        if name not in AUGMENTATIONS:
            what = f"augment={config.augment}: there is no {name!r}"
            raise UserError(what, f"choose from {', '.join(AUGMENTATIONS)}, joined by +")
    images = config.dataset.name != "ring" and config.system != "tags"
    for path in ("augment", "dataset.mirror"):
        value, default = get(config, path), KEYS[path].default
        if value == default:
            continue
        what = f"{path}={value}: {config.dataset.name} has no images" if not images else ""
        if path == "augment" and config.condition.kind == "known_part":
            what = f"{path}={value}: the known part would no longer fit the image"
        if what:
            raise UserError(what, f"leave it at {default!r}")


def _is_dense(config: ConfigDict) -> bool:
    """Whether the discriminator is fully connected."""
    paper = config.networks == "paper"
    return config.system in ("gan", "tags") or (config.system == "cgan" and paper)


def _check_norm(config: ConfigDict) -> None:
    """The fully connected discriminators have no BatchNorm to replace."""
    norm = config.discriminator.norm
    if _is_dense(config) and norm in ("layer", "instance"):
        what = f"discriminator.norm={norm}: a fully connected discriminator has no normalisation"
        raise UserError(what, "choose spectral, or leave it at source")


def _check_codes(config: ConfigDict) -> None:
    """Keys that other systems than InfoGAN would ignore."""
    if config.system == "infogan":
        return
    for path in ("q.rotation", "q.shift", "q.scale", "q.ema_decay", "lambda_generator"):
        if get(config, path) != KEYS[path].default:
            what = f"{path}={get(config, path)}: {config.system} has no codes"
            raise UserError(what, f"leave it at {KEYS[path].default}")


def _check_dropout(config: ConfigDict) -> None:
    """Dropout that the networks do not have."""
    system, paper = config.system, config.networks == "paper"
    maxout = system == "tags" or (system in ("gan", "cgan") and paper)
    generator = system in ("dcgan", "tags") or (system == "cgan" and paper)
    present = {
        "generator.dropout": generator,
        "sample_dropout": generator,
        "discriminator.dropout": maxout or system == "dcgan",
        "discriminator.input_dropout": maxout,
    }
    for path, known in present.items():
        if not known and get(config, path) != KEYS[path].default:
            what = f"{path}={get(config, path)}: {system}'s {config.networks} networks have none"
            raise UserError(what, f"leave it at {KEYS[path].default}")


def _check_shared_dropout(config: ConfigDict) -> None:
    """Sharing needs an earlier discriminator update with the same batch size."""
    if not config.discriminator.shared_dropout:
        return
    if config.order == "generator_first":
        raise UserError(
            "discriminator.shared_dropout=True: with order=generator_first the discriminator's"
            " update comes later",
            "choose order=discriminator_first or simultaneous",
        )
    if config.discriminator_batch_size not in (0, config.batch_size):
        raise UserError(
            "discriminator.shared_dropout=True: discriminator_batch_size and batch_size differ, so"
            " their masks have different shapes",
            "leave discriminator_batch_size at 0",
        )


def _check_output_bias(config: ConfigDict) -> None:
    """Only a dense last layer with a sigmoid can start at the mean image."""
    dense = config.system in ("gan", "cgan") and config.networks == "paper"
    if config.generator.output_bias == "data" and (not dense or config.dataset.name == "ring"):
        raise UserError(
            f"generator.output_bias=data: {config.system}'s {config.networks} generator does not"
            " end in a dense layer with a sigmoid",
            "use --config=configs/gan.py:paper or configs/cgan.py:mlp, or leave it at zero",
        )


def _check_discriminator_batch_size(config: ConfigDict) -> None:
    """The generator can reuse the discriminator's noise or conditions only at equal batch sizes."""
    size, kind = config.discriminator_batch_size, config.condition.kind
    if size in (0, config.batch_size):
        return
    if kind in ("known_part", "features"):  # No key lets it draw conditions of its own.
        reused, remedy = "the generator reuses the conditions", ""
    elif not config.fresh_noise:
        reused = "with fresh_noise=False the generator reuses the noise"
        remedy = "set fresh_noise=True, or "
    elif kind == "label" and config.condition.prior == "data":
        reused = "with condition.prior=data the generator reuses the conditions"
        remedy = "set condition.prior=uniform, or "
    else:
        return
    raise UserError(
        f"discriminator_batch_size={size}: {reused} of the discriminator's batch, and batch_size is"
        f" {config.batch_size}",
        f"{remedy}leave discriminator_batch_size at 0 (the same size)",
    )


def check_value(path: str, value: Any, key: Key) -> None:
    """Raises UserError unless a value has its key's type, and is within its choices and limits."""
    kind = type(key.default)
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UserError(
            f"{path}={value!r}: the type is {type(value).__name__}, not {kind.__name__}"
        )
    if key.choices and value not in key.choices:
        raise UserError(f"{path}={value}: unknown", f"choose from {', '.join(key.choices)}")
    if kind in (int, float):
        if not math.isfinite(value):
            raise UserError(f"{path}={value}: not a finite number")
        if key.low is not None and value < key.low:
            raise UserError(f"{path}={value}: must be at least {key.low}")
        high = MOST if key.high is None and kind is int else key.high
        if high is not None and value > high:
            raise UserError(f"{path}={value}: must be at most {high}")
