import numpy as np
import pytest
from conftest import load_config, tiny_config

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.data.pixels import to_network
from jaxgan.data.sources import ring


def test_the_ring_is_eight_gaussians():
    dataset = data.load(load_config("gan", "ring"))
    assert dataset.image_shape == (1, 1, 2)
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [
        10_000, 2_000, 2_000,
    ]  # fmt: skip
    assert dataset.train.images.dtype == np.float32
    assert dataset.digest() == ring.load().digest()
    for label in range(8):
        points = dataset.train.where([label]).images.reshape(-1, 2)
        angle = label * np.pi / 4
        centre = 2 * np.array([np.cos(angle), np.sin(angle)])
        np.testing.assert_allclose(points.mean(axis=0), centre, atol=0.01)
        np.testing.assert_allclose(points.std(axis=0), 0.05, atol=0.005)
    assert not np.array_equal(dataset.validation.images, dataset.test.images)
    np.testing.assert_array_equal(
        to_network(dataset.train.images[:5], -1.0), dataset.train.images[:5], strict=False
    )


def test_modes_are_found_by_twenty_in_a_thousand_within_three_deviations():
    assert ring.modes_found(ring.load().test.images) == 8
    away = np.full((980, 2), 9.0)
    near = np.array([[2 + 2.99 * 0.05, 0.0]])
    assert ring.modes_found(np.concatenate([away, near.repeat(20, axis=0)])) == 1
    assert ring.modes_found(np.concatenate([away, away[:1], near.repeat(19, axis=0)])) == 0
    far = np.array([[2 + 3.01 * 0.05, 0.0]])
    assert ring.modes_found(np.concatenate([away, far.repeat(20, axis=0)])) == 0
    points = ring.load().train.where([0, 3, 5]).images
    assert ring.modes_found(points) == 3


def test_streamed_ring_equals_resident_ring():
    lazy = data.load(update(load_config("gan", "ring"), {"dataset.streamed": "yes"}))
    np.testing.assert_array_equal(lazy.train.images[:7], ring.load().train.images[:7], strict=True)
    assert lazy.digest() == ring.load().digest()


@pytest.mark.parametrize(
    ("config", "values", "said"),
    [
        ("dcgan", {}, "system=dcgan"),
        ("cgan", {}, "system=cgan"),
        ("infogan", {}, "system=infogan"),
        ("gan", {"dataset.classes": "1+2"}, r"dataset\.classes=1\+2"),
        ("gan", {"dataset.size": 32}, r"dataset\.size=32"),
    ],
)
def test_settings_for_images_are_refused(config, values, said):
    config = update(load_config(config), {"dataset.name": "ring"} | values)
    with pytest.raises(UserError, match=said + r".* points, not images(.|\n)*configs/gan\.py:ring"):
        validate(config)


def test_the_rings_split_is_fixed():
    with pytest.raises(UserError, match=r"dataset\.validation: the split of ring is fixed"):
        tiny_config(dataset__name="ring", dataset__validation=5)
