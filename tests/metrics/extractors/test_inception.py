"""Inception-v3: its names and shapes, its blocks against PyTorch's, and files that will not do.

The real weights are not here; the blocks are tried with random ones.
"""

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from jaxgan.common.errors import UserError
from jaxgan.metrics.extractors import inception
from jaxgan.metrics.extractors.inception import BLOCKS, Inception, Mixed, load, prepared


def state_dictionary():
    """Every array that the weights have, of no memory: (number of the array + its place)."""
    arrays = {}
    for i, (place, shape) in enumerate(inception._shapes().items()):
        name = ".".join((*place[1:-1], inception._NAMES[place[-1]]))
        shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape
        arrays[name] = np.broadcast_to(np.float32(i), shape)
    return arrays


def random_variables(module, x):
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    generator = np.random.default_rng(0)

    def draw(path, leaf):
        if path[-1].key == "kernel":
            return generator.normal(0, 1 / np.prod(leaf.shape[:3]) ** 0.5, leaf.shape)
        return generator.uniform(0.5, 1.5, leaf.shape)

    tree = jax.tree_util.tree_map_with_path(draw, shapes)
    return jax.tree.map(lambda leaf: leaf.astype(np.float32), tree)


def test_it_has_the_published_number_of_parameters():
    """Keras documents 21,768,352 trainable ones without the classes, and has no BN scale."""
    shapes = inception._shapes()
    of_params = {place: shape for place, shape in shapes.items() if place[0] == "params"}
    scales = sum(shape[0] for place, shape in of_params.items() if place[-1] == "scale")
    assert sum(map(np.prod, of_params.values())) == 21_768_352 + scales
    assert scales == 17_216
    assert sum(place[-1] == "kernel" for place in of_params) == 94


def test_its_names_are_those_of_the_state_dictionary():
    names = set(state_dictionary())
    assert len(names) == 94 * 5
    for name in (
        "Conv2d_1a_3x3.conv.weight",
        "Mixed_5b.branch1x1.bn.running_mean",
        "Mixed_5d.branch5x5_2.conv.weight",
        "Mixed_6a.branch3x3.bn.bias",
        "Mixed_6a.branch3x3dbl_3.conv.weight",
        "Mixed_6e.branch7x7dbl_5.bn.running_var",
        "Mixed_7a.branch7x7x3_4.bn.weight",
        "Mixed_7b.branch3x3_2a.conv.weight",
        "Mixed_7c.branch3x3dbl_3b.conv.weight",
        "Mixed_7c.branch_pool.conv.weight",
    ):
        assert name in names
    arrays = state_dictionary()
    assert arrays["Mixed_6b.branch7x7_2.conv.weight"].shape == (128, 128, 1, 7)
    assert arrays["Mixed_7b.branch1x1.conv.weight"].shape == (320, 1280, 1, 1)
    assert arrays["Mixed_7c.branch1x1.conv.weight"].shape == (320, 2048, 1, 1)


def test_images_of_any_size_become_features():
    variables = inception._variables("w.npz", state_dictionary())
    images = jax.ShapeDtypeStruct((2, 28, 32, 1), np.uint8)
    features = jax.eval_shape(inception._forward, variables, images)
    assert (features.shape, features.dtype) == ((2, 2048), np.float32)


def test_the_arrays_go_where_their_names_say_with_their_axes_turned():
    arrays = state_dictionary()
    arrays["fc.weight"] = arrays["Conv2d_1a_3x3.bn.num_batches_tracked"] = np.zeros(3)
    kernel = np.random.default_rng(0).normal(size=(128, 128, 1, 7)).astype(np.float32)
    arrays["Mixed_6b.branch7x7_2.conv.weight"] = kernel
    variables = inception._variables("w.npz", arrays)
    block = variables["params"]["Mixed_6b"]["branch7x7_2"]
    np.testing.assert_array_equal(block["conv"]["kernel"][0, 5], kernel[:, :, 0, 5].T)
    values = {
        ("params", "scale"): "weight",
        ("params", "bias"): "bias",
        ("batch_stats", "mean"): "running_mean",
        ("batch_stats", "var"): "running_var",
    }
    for (collection, ours), theirs in values.items():
        leaf = variables[collection]["Mixed_7c"]["branch3x3_2b"]["bn"][ours]
        np.testing.assert_array_equal(leaf, arrays[f"Mixed_7c.branch3x3_2b.bn.{theirs}"])


def windows(x, high, wide, stride=1, padded=False, fill=0.0):
    """Every window of a map, [B, H, W, C, high, wide]."""
    if padded:
        sides = (0, 0), (high // 2,) * 2, (wide // 2,) * 2, (0, 0)
        x = np.pad(x, sides, constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, (high, wide), (1, 2))
    return view[:, ::stride, ::stride]


def by_numpy(branches, variables, x):
    """A block in float64, every window written out."""
    flat = {".".join(place[1:]): leaf for place, leaf in flatten_dict(variables).items()}

    def conv(x, name, high, wide, stride=1):
        kernel = flat[f"{name}.conv.kernel"]
        assert kernel.shape[:2] == (high, wide)
        y = np.einsum("nabchw,hwco->nabo", windows(x, high, wide, stride, stride == 1), kernel)
        mean, var, scale, bias = (flat[f"{name}.bn.{k}"] for k in ("mean", "var", "scale", "bias"))
        return np.maximum((y - mean) / np.sqrt(var + 1e-3) * scale + bias, 0)

    return np.concatenate(branches(conv, x.astype(np.float64)), axis=-1)


def mixed_5b(conv, x):
    five = conv(conv(x, "branch5x5_1", 1, 1), "branch5x5_2", 5, 5)
    double = conv(conv(x, "branch3x3dbl_1", 1, 1), "branch3x3dbl_2", 3, 3)
    double = conv(double, "branch3x3dbl_3", 3, 3)
    pooled = np.nanmean(windows(x, 3, 3, padded=True, fill=np.nan), axis=(4, 5))
    return conv(x, "branch1x1", 1, 1), five, double, conv(pooled, "branch_pool", 1, 1)


def mixed_7a(conv, x):
    three = conv(conv(x, "branch3x3_1", 1, 1), "branch3x3_2", 3, 3, 2)
    seven = conv(conv(x, "branch7x7x3_1", 1, 1), "branch7x7x3_2", 1, 7)
    seven = conv(conv(seven, "branch7x7x3_3", 7, 1), "branch7x7x3_4", 3, 3, 2)
    return three, seven, windows(x, 3, 3, 2).max(axis=(4, 5))


def mixed_7c(conv, x):
    y = conv(x, "branch3x3_1", 1, 1)
    z = conv(conv(x, "branch3x3dbl_1", 1, 1), "branch3x3dbl_2", 3, 3)
    pooled = windows(x, 3, 3, padded=True, fill=-np.inf).max(axis=(4, 5))
    return (
        conv(x, "branch1x1", 1, 1),
        conv(y, "branch3x3_2a", 1, 3),
        conv(y, "branch3x3_2b", 3, 1),
        conv(z, "branch3x3dbl_3a", 1, 3),
        conv(z, "branch3x3dbl_3b", 3, 1),
        conv(pooled, "branch_pool", 1, 1),
    )


@pytest.mark.parametrize("branches", [mixed_5b, mixed_7a, mixed_7c], ids=lambda f: f.__name__)
def test_a_block_is_the_one_written_out_in_numpy(branches):
    x = np.random.default_rng(1).normal(size=(2, 5, 6, 3)).astype(np.float32)
    block = Mixed(BLOCKS[branches.__name__.capitalize()])
    variables = random_variables(block, x)
    expected = by_numpy(branches, variables, x)
    assert expected.std() > 0.1
    np.testing.assert_allclose(jax.jit(block.apply)(variables, x), expected, atol=2e-5)


@pytest.mark.parametrize("shape", [(2, 28, 32, 1), (1, 400, 310, 3)])
def test_images_are_resized_bilinearly_about_half_pixels(shape):
    from scipy.ndimage import map_coordinates

    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    rows, columns = ((np.arange(299) + 0.5) * side / 299 - 0.5 for side in shape[1:3])
    places = np.meshgrid(rows, columns, indexing="ij")
    for i, c in np.ndindex(shape[0], 3):
        channel = images[i, :, :, c % shape[3]] / 127.5 - 1
        expected = map_coordinates(channel, places, order=1, mode="nearest")
        np.testing.assert_allclose(prepared(images)[i, :, :, c], expected, atol=2e-4)


def test_features_come_in_batches_and_in_order(monkeypatch):
    shapes = set()

    def forward(variables, images):
        shapes.add(images.shape)
        return images.reshape(len(images), -1)[:, :1].repeat(2048, 1).astype(np.float32)

    monkeypatch.setattr(inception, "_forward", forward)
    images = np.arange(120, dtype=np.uint8).reshape(120, 1, 1, 1).repeat(4, 1)
    extractor = Inception("Inception-v3 (w.npz)", {}, "")
    read = extractor.features(images)
    np.testing.assert_array_equal(read[:, 7], np.arange(120))
    assert shapes == {(50, 4, 1, 1)}
    assert extractor.features(images[:0]).shape == (0, 2048)
    for bad in (images / 255, images[..., 0], images.repeat(2, 3)):
        with pytest.raises(ValueError, match="not uint8"):
            extractor.features(bad)


def test_refuses_files_that_are_no_weights(tmp_path):
    def refused(name, match):
        with pytest.raises(UserError, match=match) as raised:
            load(str(tmp_path / name))
        what = str(raised.value)
        assert what.startswith(str(tmp_path / name))
        assert len(what.split("\n")) == 2

    refused("none.npz", r"cannot be read \(No such file")
    refused("", r"cannot be read \(it is not a regular file")
    np.savez(tmp_path / "empty.npz")
    refused("empty.npz", "lacks 470 of Inception-v3's 470 arrays, such as ")
    np.savez(tmp_path / "one.npz", **{"Conv2d_1a_3x3.conv.weight": np.zeros((32, 3, 3, 3))})
    refused("one.npz", "lacks 469 of")
    content = (tmp_path / "one.npz").read_bytes()
    (tmp_path / "torn.npz").write_bytes(content[:-100])
    refused("torn.npz", "cannot be read")
    (tmp_path / "text.npz").write_text("weights")
    refused("text.npz", "it is not an .npz file")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    refused("array.npz", "it is not an .npz file")


def test_weights_of_another_network_are_refused():
    arrays = state_dictionary()
    arrays["Conv2d_1a_3x3.bn.weight"] = np.full(32, np.nan)
    with pytest.raises(UserError, match=r"Conv2d_1a_3x3\.bn\.weight: some numbers are not finite"):
        inception._variables("w.npz", arrays)
    arrays = state_dictionary()
    arrays["Mixed_5c.branch_pool.conv.weight"] = np.zeros((32, 256, 1, 1))
    with pytest.raises(UserError, match=r"Mixed_5c.branch_pool.conv.weight is \(32, 256, 1, 1\)"):
        inception._variables("w.npz", arrays)


def test_reads_only_state_dictionaries_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    path = str(tmp_path / "w.pth")
    torch.save({"a": torch.ones(2, dtype=torch.float16), "epoch": 3}, path)
    arrays = inception._state_dictionary(path)
    assert list(arrays) == ["a"]
    assert arrays["a"].dtype == np.float32
    with pytest.raises(UserError, match="lacks 470"):
        load(path)
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="holds a list"):
        load(path)
    # A pickle that would run something is not run.
    torch.save({"a": np.random.default_rng}, path)
    with pytest.raises(UserError, match="cannot be read"):
        load(path)
    (tmp_path / "w.pth").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(UserError, match="cannot be read"):
        load(path)


def test_without_pytorch_a_state_dictionary_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(UserError, match="needs PyTorch, which is not installed"):
        load(str(tmp_path / "w.pth"))


def test_the_digest_is_that_of_the_file(tmp_path, monkeypatch):
    import hashlib

    np.savez(tmp_path / "w.npz", a=np.ones(3))
    monkeypatch.setattr(inception, "_names", lambda: {("a",): "a"})
    monkeypatch.setattr(inception, "_variables", lambda path, arrays: arrays)
    extractor = load(str(tmp_path / "w.npz"))
    content = (tmp_path / "w.npz").read_bytes()
    assert extractor.digest == hashlib.sha256(content).hexdigest()[:16]
    assert extractor.name == "Inception-v3 (w.npz)"
    np.testing.assert_array_equal(extractor.variables["a"], np.ones(3))
