"""Invariant: every config trains, here on all eight devices and with its own batches."""

import jax
import numpy as np
import pytest
import tag_data
from conftest import ROOT, load_config

from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.data.batches import Batch, indices
from jaxgan.data.loader import ExampleIndices
from jaxgan.data.pixels import to_network
from jaxgan.data.sources import digits, ring
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models import conditions
from jaxgan.training import mesh as mesh_lib
from jaxgan.training import program as program_lib
from jaxgan.training.gan import build_gan, example_inputs

NAMES = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
VARIANTS = {
    "infogan": ["", "document,continuous"],
    "gan": ["", "paper,loss=minimax,discriminator_steps=2"],
    "dcgan": [
        "",
        "wgan_gp,discriminator_steps=1",
        "sngan,augment=color+translation+cutout,size=64",
    ],
    "tags": ["", "condition.how=projection"],
    "cgan": [
        "",
        "mlp,condition.embedding=4,condition.how=projection,penalty.kind=r1,penalty.every=2",
        "inpaint,dataset.mirror=true",
    ],
}
CASES = [(name, arg) for name in NAMES for arg in VARIANTS.get(name, [""])]


@pytest.mark.parametrize(("name", "arg"), CASES)
def test_every_config_trains(name, arg):
    config = load_config(name, arg)
    config = update(config, {"width": 0.05})
    validate(config)
    dataset = tag_data.table() if name == "tags" else digits.load(config.dataset.size)
    images, labels, features = (
        getattr(dataset.train, part) for part in ("images", "labels", "features")
    )
    gan = build_gan(
        config,
        dataset.image_shape,
        conditions.make(config, dataset.label_names, dataset.classes, dataset.feature_size),
    )
    mesh = mesh_lib.make_mesh(1, (gan.config.batch_size, gan.discriminator_batch_size))
    assert mesh.size > 4
    program = program_lib.Program(gan, (0,), Batch(images, labels, features), mesh, 1)
    state = program.initialise()
    shape = (gan.config.discriminator_steps, gan.discriminator_batch_size)
    for step in range(2):
        places = indices(0, step, len(images), shape, config.dataset.replacement)
        state, metrics = program.run(state, places[None, None])
    assert program.functions.run._cache_size() == 1
    assert all(np.isfinite(value).all() for value in metrics.by_name(1).values())
    assert bool(state.alive[0])

    generator = jax.tree.map(lambda x: np.asarray(x)[0], state.generator.variables)
    instruments = NetworkFunctions(gan, batch=20)
    if gan.condition is not None:
        if labels is None:
            first = np.unique(features.places, return_index=True)[1][:10]
            read = features.at(first)
        else:
            first = [int(np.argmax(labels == label)) for label in range(10)]
            read = labels[first]
        condition = gan.condition.of(to_network(images[first], gan.low), read, jax.numpy.float32)
        same = jax.tree.map(lambda x: np.repeat(x[:1], 10, axis=0), example_inputs(gan)[0])
        pictures = instruments.sample(generator, same._replace(condition=condition))
        assert np.abs(np.diff(pictures, axis=0)).max(axis=(1, 2, 3)).min() > 0
    for code in range(len(gan.latent.codes)):
        latent, columns = gan.latent.traversal(jax.random.key(0), code)
        images = instruments.sample(generator, latent)
        by_row = images.reshape(-1, columns, *images.shape[1:])
        varied = by_row[:, 0] if gan.latent.codes[code].categorical else by_row[0]
        assert np.abs(np.diff(varied, axis=0)).max(axis=(1, 2, 3)).min() > 0


def test_a_gan_finds_seven_of_eight_modes_of_a_ring():
    """Invariant: at least seven of eight."""
    config = load_config("gan", "ring")
    validate(config)
    dataset = ring.load()
    gan = build_gan(config, dataset.image_shape)
    mesh = mesh_lib.make_mesh(1, [gan.config.batch_size], jax.devices()[:1])
    # Dense networks lose nothing in a loop, even on a CPU.
    calls_of = 100
    program = program_lib.Program(gan, (0,), Batch(dataset.train.images), mesh, calls_of)
    state = program.initialise()
    shape = (gan.config.discriminator_steps, gan.config.batch_size)
    places = ExampleIndices((0,), len(dataset.train), shape, False)
    for step in range(0, config.steps, calls_of):
        given = np.stack([places(s) for s in range(step, step + calls_of)], axis=1)
        state, _ = program.run(state, given)
    generator = jax.tree.map(lambda x: np.asarray(x)[0], state.generator.variables)
    points = NetworkFunctions(gan).sample(generator, gan.latent.sample(jax.random.key(1), 1_000))
    assert ring.modes_found(points) >= 7
