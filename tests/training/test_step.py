"""Invariant: an update touches what it should and nothing else; and what else a step promises."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config
from small_networks import small_infogan

import jaxgan.training.step as step_lib
import jaxgan.training.terms as terms_lib
from jaxgan.common.errors import UserError
from jaxgan.common.rng import stream
from jaxgan.config.presets import update
from jaxgan.losses.adversarial import ADVERSARIAL
from jaxgan.models.conditions import Label
from jaxgan.training.gan import build_gan
from jaxgan.training.state import (
    GanState,
    NetworkState,
    first_best,
    has_averages,
    initialise,
    keep_best,
    networks,
    raw_networks,
)
from jaxgan.training.step import (
    Batch,
    Examples,
    GeneratedBatch,
    GeneratorInput,
    discriminator_update,
    generate,
    generator_update,
    train_step,
)

KEY = jax.random.key(0)


def make(arg="", **values):
    """One and the same gan, whose programs are compiled once, for every spelling of a config."""
    averages = {key: values.get(key, 0.0) for key in ("ema_decay", "q__ema_decay")}
    gan = small_infogan(arg, **values)
    return _MADE.setdefault(str(gan.config), gan), first_state(arg, **averages)


_MADE: dict = {}


@functools.cache
def first_state(arg, **averages):
    """No other key makes another state."""
    return jax.jit(functools.partial(initialise, small_infogan(arg, **averages)))(KEY)


def compiled(function, gan):
    """jit of function(gan, …), once for each gan; it is kept, so its id stays its own."""
    key = function, id(gan)
    if key not in _COMPILED:
        _COMPILED[key] = gan, jax.jit(functools.partial(function, gan))
    return _COMPILED[key][1]


_COMPILED: dict = {}


def real_images(n=16, k=1):
    images = np.random.default_rng(0).integers(0, 256, (k, n, 8, 8, 1))
    return jnp.asarray(images, jnp.uint8)


def draw_of(gan, n=16):
    return GeneratorInput(gan.latent.sample(stream(KEY, "test"), n), KEY)


def changed(before, after):
    """Which leaves differ, and which are the same to the bit."""
    return [
        not np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    ]


def weights(player):
    """The kernels: a bias in front of BatchNorm may have no gradient at all."""
    return [
        leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(player.params)
        if "kernel" in jax.tree_util.keystr(path)
    ]


def fake_examples(gan, state):
    draw = draw_of(gan)
    # The generator is that of every config.
    images = compiled(images_of, make()[0])(state.generator, draw)
    return Examples(images, None, draw.latent.codes)


def images_of(gan, generator, draw):
    return generate(gan, generator, draw).images


def move_generator(gan, state, draw, key):
    return generator_update(gan, state, draw, generate(gan, state.generator, draw), key)


def informed(information, weight=1.0, **values):
    """With codes of both kinds, and weights of their terms."""
    weights = {"lambda_categorical": weight, "lambda_continuous": weight}
    return make("continuous", information=information, **weights, **values)


@pytest.mark.parametrize("information", ["document", "paper"])
def test_discriminator_update_touches_only_its_own(information):
    gan, state = informed(information)
    real = Examples(real_images()[0] / 255.0)
    after, _ = compiled(discriminator_update, gan)(state, real, fake_examples(gan, state), KEY)
    assert not any(changed(state.generator, after.generator))
    assert all(changed(weights(state.discriminator), weights(after.discriminator)))
    assert all(changed(state.discriminator.batch_stats, after.discriminator.batch_stats))
    q_changes = changed(weights(state.q), weights(after.q)) + changed(
        state.q.batch_stats, after.q.batch_stats
    )
    assert all(q_changes) if information == "paper" else not any(changed(state.q, after.q))


@pytest.mark.parametrize("information", ["document", "paper"])
def test_generator_update_touches_only_its_own(information):
    gan, state = informed(information)
    after, _ = compiled(move_generator, gan)(state, draw_of(gan), KEY)
    assert not any(changed(state.discriminator, after.discriminator))
    assert all(changed(weights(state.generator), weights(after.generator)))
    assert all(changed(state.generator.batch_stats, after.generator.batch_stats))
    q_changes = changed(weights(state.q), weights(after.q)) + changed(
        state.q.batch_stats, after.q.batch_stats
    )
    assert all(q_changes) if information == "document" else not any(changed(state.q, after.q))


@pytest.mark.parametrize("information", ["document", "paper"])
def test_the_information_term_moves_its_own_networks_alone(information):
    """With and without the term, the parameters that it moves are the ones that differ."""

    def updates(weight):
        gan, state = informed(information, weight)
        discriminated, _ = compiled(discriminator_update, gan)(
            state, Examples(real_images()[0] / 255.0), fake_examples(gan, state), KEY
        )
        generated, _ = compiled(move_generator, gan)(state, draw_of(gan), KEY)
        trunk = discriminated.discriminator.params
        logit = trunk.pop("logit")
        return {
            "trunk": trunk,
            "logit": logit,
            "q in d": discriminated.q.params,
            "generator": generated.generator.params,
            "q in g": generated.q.params,
        }

    with_term, without = updates(1.0), updates(0.0)
    moved = {name: any(changed(with_term[name], without[name])) for name in with_term}
    paper = information == "paper"
    assert moved == {
        "trunk": paper,
        "logit": False,
        "q in d": paper,
        "generator": True,
        "q in g": not paper,
    }


def test_real_and_fake_are_normalised_each_by_themselves():
    """The loss on real images does not depend on the fakes of the same batch."""
    gan, state = make()
    real = Examples(real_images()[0] / 255.0)
    fake = fake_examples(gan, state)
    _, both = compiled(discriminator_update, gan)(state, real, fake, KEY)
    _, alone = compiled(discriminator_update, gan)(state, real, None, KEY)
    name = "loss/discriminator_real"
    np.testing.assert_allclose(both[name], alone[name], rtol=1e-5)
    assert "loss/discriminator_fake" not in alone


def cross_entropy(logits, target):
    return np.mean(np.logaddexp(0, logits) - target * logits)


def half_square(logits, target):
    return np.mean((logits - target) ** 2) / 2


@pytest.mark.parametrize(
    ("loss", "boundary", "by_hand"),
    [("non_saturating", 0.0, cross_entropy), ("least_squares", 0.5, half_square)],
)
def test_losses_and_accuracies_by_hand(monkeypatch, loss, boundary, by_hand):
    """Of a stand-in discriminator whose logit is each image's first pixel. The accuracy is the
    share on the right side; each loss has a target of its own."""
    real, fake = np.array([0.6, 0.2, -0.1, 0.3]), np.array([-3.0, 0.4, 0.6, 0.1])

    def first_pixel(module, variables, images, condition, train, dropout):
        return (images[:, 0, 0, 0], None), variables.batch_stats

    for module in (step_lib, terms_lib):
        monkeypatch.setattr(module, "apply_network", first_pixel)
    monkeypatch.setattr(step_lib, "_apply_gradients", lambda *arguments: arguments[-1])
    targets = {"real_target": 0.9, "fake_target": 0.2, "generator_target": 0.7}
    config = update(load_config("gan"), {"loss": loss, "penalty.kind": "none", **targets})
    gan = build_gan(config, (28, 28, 1))
    network = NetworkState(None, None, None)
    state = GanState(0, 0, True, network, network, None, None)
    examples = [Examples(jnp.asarray(x, jnp.float32).reshape(4, 1, 1, 1)) for x in (real, fake)]
    metrics = discriminator_update(gan, state, *examples, KEY)
    assert float(metrics["accuracy/real"]) == pytest.approx(np.mean(real > boundary))
    assert float(metrics["accuracy/fake"]) == pytest.approx(np.mean(fake < boundary))
    generated = GeneratedBatch(examples[1].images, None, lambda gradient: (gradient,))
    draw = GeneratorInput(gan.latent.sample(KEY, 4), KEY)
    metrics |= generator_update(gan, state, draw, generated, KEY)
    for name, logits, factor, target in (
        ("discriminator_real", real, config.real_factor, 0.9),
        ("discriminator_fake", fake, config.fake_factor, 0.2),
        ("generator", fake, config.generator_factor, 0.7),
    ):
        expected = factor * by_hand(logits, target)
        assert float(metrics[f"loss/{name}"]) == pytest.approx(expected, rel=1e-5), name


@pytest.mark.parametrize("loss", ADVERSARIAL)
def test_every_loss_pulls_the_generators_logits_up(loss):
    """Through the targets that the config gives: the generator wants to pass for real."""
    gan, _ = make(loss=loss, penalty__kind="r1")
    slope = jax.grad(
        lambda logit: gan.adversarial.generator(logit, jnp.full_like(logit, gan.generator_target))[
            0
        ]
    )
    assert slope(jnp.asarray([0.3]))[0] < 0


@pytest.mark.parametrize(
    ("order", "batches"),
    [("discriminator_first", "together"), ("generator_first", "fake_real")],
)
def test_every_order_trains_all_players(order, batches):
    _, state, after, metrics = two_discriminator_steps(order, batches)
    assert int(after.step) == 1
    assert bool(after.alive)
    for name in ("generator", "discriminator", "q"):
        assert all(changed(weights(getattr(state, name)), weights(getattr(after, name))))
    assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize(
    ("order", "batches", "expected"),
    [
        ("discriminator_first", "together", ["real 8 fake 8", "generator 16"]),
        ("discriminator_first", "real_fake", ["real 8", "fake 8", "generator 16"]),
        ("generator_first", "fake_real", ["generator 16", "fake 8", "real 8"]),
        ("simultaneous", "together", ["real 8 fake 8", "generator 16"]),
    ],
)
def test_updates_have_their_order_and_sizes(monkeypatch, order, batches, expected):
    seen = []

    def discriminates(gan, state, real, fake, key):
        shown = (("real", real), ("fake", fake))
        seen.append(" ".join(f"{name} {len(x.images)}" for name, x in shown if x is not None))
        return discriminator_update(gan, state, real, fake, key)

    def generates(gan, state, draw, fake, key):
        seen.append(f"generator {len(fake.images)}")
        return generator_update(gan, state, draw, fake, key)

    monkeypatch.setattr(step_lib, "discriminator_update", discriminates)
    monkeypatch.setattr(step_lib, "generator_update", generates)
    gan, state = make(
        order=order,
        discriminator_batches=batches,
        discriminator_batch_size=8,
        fresh_noise=True,
        information="document",
    )
    jax.eval_shape(functools.partial(train_step, gan), state, Batch(real_images(n=8)), KEY)
    assert seen == expected


def test_real_images_are_mirrored_at_random():
    gan, state = make(dataset__mirror=True)
    batch = Batch(real_images())
    [shown] = seen_by(gan, state, batch, discriminator_update=lambda *given: given[2].images)[
        "discriminator_update"
    ]
    plain = np.asarray(batch.images[0]) / np.float32(255)
    same = np.isclose(shown, plain, rtol=0, atol=1e-6).all(axis=(1, 2, 3))
    turned = np.isclose(shown, plain[:, :, ::-1], rtol=0, atol=1e-6).all(axis=(1, 2, 3))
    assert (same ^ turned).all()
    assert 0 < same.sum() < 16


def test_each_kind_of_code_has_its_own_weight():
    weights = {"lambda_categorical": 0.75, "lambda_continuous": 0.25}
    assert make("continuous", **weights)[0].code_weights == (0.75, 0.25, 0.25)


def penalised(kind, step=0, **values):
    """The state before and after one update of the discriminator at a step, and its metrics."""
    gan, state = make(penalty__kind=kind, **values)
    state = state.replace(step=jnp.int32(step))
    real = Examples(real_images()[0] / 255.0)
    update = compiled(discriminator_update, gan)
    return state, *update(state, real, fake_examples(gan, state), KEY)


@pytest.mark.parametrize("kind", ["r1", "r2"])
def test_a_penalty_moves_the_discriminator_alone(kind):
    """Its moving statistics are those of an update without it."""
    state, after, metrics = penalised(kind)
    _, without, _ = penalised("none")
    assert metrics["loss/penalty"] > 0
    assert not any(changed(state.generator, after.generator))
    assert all(changed(weights(without.discriminator), weights(after.discriminator)))
    for a, b in zip(
        *(jax.tree.leaves(x.discriminator.batch_stats) for x in (without, after)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_lazy_penalty_enters_some_steps_with_as_many_times_the_weight():
    _, _, always = penalised("r1")
    weight = make(penalty__kind="r1")[0].config.penalty.weight
    lazy = {"penalty__every": 3, "penalty__weight": weight / 2}
    found = [penalised("r1", step, **lazy)[2]["loss/penalty"] for step in range(4)]
    expected = np.float32([0, 0, 3 / 2, 0]) * always["loss/penalty"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    _, without, _ = penalised("none", step=1)
    _, skipped, _ = penalised("r1", step=1, **lazy)
    for a, b in zip(weights(without.discriminator), weights(skipped.discriminator), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_gradient_penalty_is_refused_with_batch_norm():
    with pytest.raises(UserError, match="BatchNorm"):
        make(penalty__kind="gradient")


def test_both_networks_learn_from_the_classes():
    """With no weight on the adversarial loss, a small step of either network lowers its own class
    loss; and only the discriminator's changes the vectors of spectral normalisation."""
    values = {"condition.how": "auxiliary", "discriminator.norm": "spectral", "width": 0.1}
    values |= {f"{name}_factor": 0.0 for name in ("real", "fake", "generator")}
    for name in ("generator", "discriminator"):
        values |= {f"{name}.optimizer": "sgd", f"{name}.learning_rate": 0.01}
    config = update(load_config("cgan"), values)
    gan = build_gan(config, (28, 28, 1), Label(10, tuple(range(10))))
    state = jax.jit(functools.partial(initialise, gan))(KEY)
    labels = jax.nn.one_hot(jnp.arange(32) % 10, 10)
    latent = gan.latent.sample(KEY, 32)._replace(condition=labels)
    draw = GeneratorInput(latent, KEY)
    fake = Examples(compiled(images_of, gan)(state.generator, draw), labels)
    real = Examples(jnp.zeros_like(fake.images), labels)

    step = compiled(move_generator, gan)
    after, before = step(state, draw, KEY)
    _, later = step(after, draw, KEY)
    assert later["loss/class"] < before["loss/class"]
    assert not any(changed(state.discriminator, after.discriminator))

    step = compiled(discriminator_update, gan)
    after, before = step(state, real, fake, KEY)
    _, later = step(after, real, fake, KEY)
    classes = ("loss/class_real", "loss/class_fake")
    assert sum(later[name] for name in classes) < sum(before[name] for name in classes)
    vectors = jax.tree.leaves(state.discriminator.batch_stats)
    assert sum(changed(vectors, jax.tree.leaves(after.discriminator.batch_stats))) == len(vectors)


def test_every_pass_through_the_discriminator_sees_augmented_images():
    """Those of real and of generated images in its own update, and that of the generator's."""

    def logits(augment):
        gan, state = make(augment=augment)
        real = Examples(real_images()[0] / 255.0)
        _, own = compiled(discriminator_update, gan)(state, real, fake_examples(gan, state), KEY)
        _, of_generator = compiled(move_generator, gan)(state, draw_of(gan), KEY)
        return own["logit/real"], own["logit/fake"], of_generator["loss/generator"]

    plain, augmented = np.array(logits("")), np.array(logits("cutout"))
    assert np.abs(augmented - plain).min() > 1e-3


@functools.cache
def two_discriminator_steps(order, batches):
    gan, state = make(
        discriminator_batches=batches, order=order, fresh_noise=True, discriminator_steps=2
    )
    return gan, state, *compiled(train_step, gan)(state, Batch(real_images(k=2)), KEY)


def count_updates(opt_state):
    return int(opt_state[0].count)


@pytest.mark.parametrize(
    ("order", "batches", "expected"),
    [("discriminator_first", "together", 2), ("generator_first", "fake_real", 4)],
)
def test_k_discriminator_steps(order, batches, expected):
    _, _, after, _ = two_discriminator_steps(order, batches)
    assert count_updates(after.discriminator.opt_state) == expected
    assert count_updates(after.generator.opt_state) == 1


def seen_by(gan, state, batch, **picks):
    """By the name of a step's function, pick(*arguments) of each call; XLA drops the rest of the
    step."""

    def spy(original, pick, found):
        def spying(*arguments):
            found.append(pick(*arguments))
            return original(*arguments)

        return spying

    @jax.jit
    def seen(state, batch):
        found = {name: [] for name in picks}
        with pytest.MonkeyPatch.context() as patch:
            for name, pick in picks.items():
                patch.setattr(step_lib, name, spy(getattr(step_lib, name), pick, found[name]))
            train_step(gan, state, batch, KEY)
        return found

    return seen(state, batch)


@pytest.mark.parametrize("fresh", [False, True])
def test_noise_is_shared_or_fresh(fresh):
    """fresh_noise=False: the generator learns from the very images that the discriminator saw, and
    they are made once."""
    gan, state = make(fresh_noise=fresh)
    seen = seen_by(
        gan,
        state,
        Batch(real_images()),
        generate=lambda *given: given[-1].latent.noise,
        generator_update=lambda *given: given[3].images,
        discriminator_update=lambda *given: given[3].images,
    )
    assert len(seen["generate"]) == 1 + fresh
    [learns_from], [shown] = seen["generator_update"], seen["discriminator_update"]
    assert np.array_equal(learns_from, shown) == (not fresh)


def test_a_step_that_is_not_finite_changes_nothing_and_ends_the_seed():
    gan, state = make()
    broken = state.discriminator.params | {"logit": {
        "kernel": state.discriminator.params["logit"]["kernel"] * jnp.nan,
        "bias": state.discriminator.params["logit"]["bias"],
    }}  # fmt: skip
    state = state.replace(discriminator=state.discriminator.replace(params=broken))
    step = compiled(train_step, gan)
    after, metrics = step(state, Batch(real_images()), KEY)
    assert not bool(after.alive)
    assert int(after.step) == 0
    for player in ("generator", "discriminator", "q"):
        jax.tree.map(np.testing.assert_array_equal, getattr(state, player), getattr(after, player))
    assert not np.isfinite(metrics["loss/discriminator_real"])
    # Mended or not, a seed that has ended stays as it is.
    mended = make()[1].replace(alive=after.alive)
    again, _ = step(mended, Batch(real_images()), KEY)
    assert not any(changed(mended, again))


def test_the_best_is_kept_for_each_seed_by_itself():
    _, state = make()
    two = jax.tree.map(lambda x: np.stack([x, x]), jax.device_get(state))
    best, keep = jax.jit(first_best)(two), jax.jit(keep_best)
    later = jax.tree.map(lambda x: x + 1 if x.dtype != bool else x, two)
    best = keep(best, later, np.float32([0.5, np.nan]))
    assert best.step.tolist() == [1, 0]
    assert best.score.tolist() == pytest.approx([0.5, -jnp.inf])
    worse = jax.tree.map(lambda x: x + 1 if x.dtype != bool else x, later)
    best = keep(best, worse, np.float32([0.4, 0.1]))
    assert best.step.tolist() == [1, 2]
    for now, one in ((best.networks, 0), (best.networks, 1)):
        wanted = networks(later if one == 0 else worse)
        for a, b in zip(jax.tree.leaves(now), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_array_equal(a[one], b[one])


def test_another_attempt_is_another_stream():
    gan, state = make()
    step = compiled(train_step, gan)
    first, _ = step(state, Batch(real_images()), KEY)
    again, _ = step(state, Batch(real_images()), KEY)
    other, _ = step(state.replace(attempt=state.attempt + 1), Batch(real_images()), KEY)
    assert not any(changed(first.generator, again.generator))
    assert all(changed(weights(first.generator), weights(other.generator)))


@functools.cache
def discriminator_at_rest():
    """A step with moving averages, and a discriminator whose learning rate is 0."""
    gan, state = make(ema_decay=0.75, q__ema_decay=0.05, discriminator__learning_rate=0.0)
    return state, compiled(train_step, gan)(state, Batch(real_images()), KEY)[0]


@pytest.mark.parametrize(
    ("average", "player", "decay"),
    # The first update weighs the old average with .1 at most.
    [("ema", "generator", 0.1), ("ema_discriminator", "discriminator", 0.05), ("ema_q", "q", 0.05)],
)
def test_the_moving_averages_follow_their_player(average, player, decay):
    state, after = discriminator_at_rest()
    before, now = getattr(state, average), getattr(after, player).variables
    expected = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, before, now)
    found = getattr(after, average)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert getattr(networks(after), player) is found
    raw = getattr(raw_networks(after), player)
    jax.tree.map(np.testing.assert_array_equal, raw, now)
    assert has_averages(after)
    assert not has_averages(make()[1])


# --- Conditions that do not fit


@pytest.mark.parametrize("conditions", [[0, 1, 2, 0], [1, 1, 2, 2]])
def test_mismatched_rows_are_fakes_with_their_own_weight(monkeypatch, conditions):
    """Of a stand-in discriminator whose logit is the image's pixel plus ten times its condition."""

    def stand_in(module, variables, images, condition, train, dropout):
        return (images[:, 0, 0, 0] + 10 * condition[:, 0], None), variables.batch_stats

    for module in (step_lib, terms_lib):
        monkeypatch.setattr(module, "apply_network", stand_in)
    monkeypatch.setattr(step_lib, "_apply_gradients", lambda *arguments: arguments[-1])
    config = update(load_config("cgan", "mlp"), {"mismatched_factor": 0.5, "loss": "least_squares"})
    gan = build_gan(config, (28, 28, 1), Label(3, (0, 1, 2)))
    state = GanState(0, 0, True, None, NetworkState(None, None, None), None, None)
    pixels, given = np.array([0.5, 0.25, 0.75, 1.0]), np.array(conditions, float)
    real = Examples(jnp.asarray(pixels, jnp.float32).reshape(4, 1, 1, 1), given[:, None])
    metrics = discriminator_update(gan, state, real, None, KEY)
    other = np.roll(given, 1)
    wanted = 0.5 * np.mean(np.where(other != given, (pixels + 10 * other) ** 2 / 2, 0))
    assert float(metrics["loss/discriminator_mismatched"]) == pytest.approx(wanted)


def test_without_a_factor_nothing_is_mismatched():
    gan, state = make()
    _, metrics = compiled(discriminator_update, gan)(
        state, Examples(real_images()[0] / 255.0), fake_examples(gan, state), KEY
    )
    assert "loss/discriminator_mismatched" not in metrics


@pytest.mark.parametrize("shared", [False, True])
def test_the_players_share_a_dropout_mask_if_asked(shared):
    gan, state = make(discriminator__shared_dropout=shared)
    seen = seen_by(
        gan,
        state,
        Batch(real_images()),
        generator_update=lambda *given: jax.random.key_data(given[4]),
        discriminator_update=lambda *given: jax.random.key_data(given[4]),
    )
    [[of_generator], [of_discriminator]] = seen["generator_update"], seen["discriminator_update"]
    assert np.array_equal(of_generator, of_discriminator) == shared


# --- What Q reads


@pytest.mark.parametrize(
    ("key", "information"),
    [("q__rotation", "document"), ("q__shift", "paper"), ("q__scale", "document")],
)
def test_q_alone_reads_moved_images(information, key):
    """The adversarial losses see the images as they are."""
    losses, statistics = [], []
    for values in ({}, {key: 0.25}):
        gan, state = informed(information, **values)
        fake, draw = fake_examples(gan, state), draw_of(gan)
        real = Examples(real_images()[0] / 255.0)
        discriminated, d = compiled(discriminator_update, gan)(state, real, fake, KEY)
        _, g = compiled(move_generator, gan)(state, draw, KEY)
        losses.append({f"{name} {k}": v for name, m in (("d", d), ("g", g)) for k, v in m.items()})
        statistics.append(discriminated.discriminator.batch_stats)
    plain, moved = losses
    for name in ("d loss/discriminator_fake", "g loss/generator"):
        np.testing.assert_allclose(plain[name], moved[name], rtol=1e-6)
    terms = [name for name in plain if name.endswith("loss/information")]
    assert len(terms) == (2 if information == "paper" else 1)
    for name in terms:
        assert abs(plain[name] - moved[name]) > 1e-5
    for a, b in zip(*map(jax.tree.leaves, statistics), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("information", ["document", "paper"])
def test_spared_the_term_the_generator_learns_as_without_it_and_q_as_with_it(information):
    def updates(weight=1.0, **values):
        gan, state = informed(information, weight, **values)
        after, metrics = compiled(move_generator, gan)(state, draw_of(gan), KEY)
        return after.generator.params, after.q.params, metrics["loss/information"]

    spared, without, plain = updates(lambda_generator=0.0), updates(0.0), updates()
    for a, b in zip(*map(jax.tree.leaves, (spared[0], without[0])), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert any(changed(spared[0], plain[0]))
    for a, b in zip(*map(jax.tree.leaves, (spared[1], plain[1])), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(spared[2], plain[2], rtol=1e-6)


def test_learning_rates_belong_to_their_player():
    state, after = discriminator_at_rest()
    assert not any(changed(state.discriminator.params, after.discriminator.params))
    assert all(changed(weights(state.generator), weights(after.generator)))
    # Q is updated with the discriminator here, at its rate.
    assert not any(changed(state.q.params, after.q.params))


# With so large an epsilon Adam's first step is no mere sign, which rounding could turn.
SMOOTH = {"generator__epsilon": 1e-3, "discriminator__epsilon": 1e-3}


def in_turn(gan, state, batch, steps=1):
    step = compiled(train_step, gan)
    for _ in range(steps):
        state, metrics = step(state, batch, KEY)
    return state, metrics


def test_simultaneous_updates_use_the_discriminator_before_its_step():
    """The generator moves as if the discriminator had not; the discriminator as it always does."""
    batch = Batch(real_images())
    together, state = make("document", order="simultaneous", information="paper", **SMOOTH)
    first, _ = make("document", order="discriminator_first", information="paper", **SMOOTH)
    after, _ = in_turn(together, state, batch)
    other, _ = in_turn(first, state, batch)
    for player in ("discriminator", "q"):
        pairs = zip(weights(getattr(after, player)), weights(getattr(other, player)), strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    key = stream(KEY, "step", state.attempt, state.step)
    latent = together.latent.sample(stream(key, "latent/generator", 0), 16)
    draw = GeneratorInput(latent, stream(key, "dropout/generator", 0))
    alone, _ = compiled(move_generator, together)(state, draw, stream(key, "generator"))
    for a, b, c in zip(
        weights(after.generator), weights(alone.generator), weights(other.generator), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        assert not np.allclose(a, c, rtol=1e-4, atol=1e-6)


def test_a_factor_scales_its_term_alone():
    """Each term by a factor of its own: none reaches another's."""
    factors = {"discriminator_real": 0.5, "discriminator_fake": 3.0, "generator": 0.2}
    keys = {f"{name.removeprefix('discriminator_')}_factor": x for name, x in factors.items()}
    gan, state = make("document", order="simultaneous", information="paper", **SMOOTH)
    scaled, _ = make("document", order="simultaneous", **keys)
    _, plain = in_turn(gan, state, Batch(real_images()))
    _, found = in_turn(scaled, state, Batch(real_images()))
    for name, factor in factors.items():
        expected = factor * float(plain[f"loss/{name}"])
        assert float(found[f"loss/{name}"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("prior", ["data", "uniform"])
def test_labels_of_generated_images(prior):
    """prior=data: those of the batch's real images; uniform: drawn by themselves."""
    config = update(load_config("cgan", "mlp"), {"width": 0.05, "batch_size": 16})
    config = update(config, {"condition.prior": prior})
    gan = build_gan(config, (8, 8, 1), Label(10, tuple(range(10)), prior))
    state = jax.eval_shape(functools.partial(initialise, gan), KEY)
    # Of any networks.
    state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), state)
    labels = jnp.arange(16)[None] % 10
    seen = seen_by(
        gan,
        state,
        Batch(real_images(), labels),
        discriminator_update=lambda gan, state, real, fake, key: (real, fake),
    )
    [(real, fake)] = seen["discriminator_update"]
    assert np.array_equal(real.condition.argmax(-1), labels[0])
    same = np.array_equal(fake.condition, real.condition)
    assert same == (prior == "data")
    assert np.array_equal(fake.condition.sum(-1), np.ones(16))
