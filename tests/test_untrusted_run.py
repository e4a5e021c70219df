"""Someone else's run folder is data, never code: a payload in each place that a reader looks at."""

import base64
import contextlib
import importlib
import io
import json
import os
import pickle
import re
import shutil
import socket
import sys
import types

import jax
import numpy as np
import pytest
from conftest import load_config, run_python, tiny_config
from PIL import EpsImagePlugin, Image

import jaxgan
from jaxgan import data, sample
from jaxgan.common import buckets
from jaxgan.common.errors import UserError
from jaxgan.common.files import write_json
from jaxgan.data.tagging import tag_tables, word_vectors
from jaxgan.metrics.extractors import inception
from jaxgan.models import conditions
from jaxgan.reporting.html.pictures import embed
from jaxgan.reporting.images import read_png
from jaxgan.training import run_folder
from jaxgan.training.checkpoint import Checkpoints
from jaxgan.training.gan import build_gan
from jaxgan.training.state import first_best, initialise

# Of TensorFlow Datasets, and of gensim, which keeps a C extension's own deprecated type alive.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Says what has run of: the modules `planted` and `huggingface_hub`, the program `gs`
    (Ghostscript), and `Payload` from a pickle."""
    marks, code, programs = (tmp_path / name for name in ("ran", "code", "programs"))
    for folder in (marks, code, programs):
        folder.mkdir()
    for name in ("planted", "huggingface_hub"):
        text = f"import pathlib; pathlib.Path({str(marks)!r}, {name!r}).touch()"
        (code / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {marks}/gs\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.syspath_prepend(str(code))
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    monkeypatch.setattr(Payload, "mark", str(marks / "pickle"))
    importlib.invalidate_caches()
    return lambda: sorted(os.listdir(marks))


class Payload:
    """Creates a file when it is unpickled."""

    mark = ""

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def assert_refused(call, said, ran):
    """The call raises a UserError of two lines that says so, and nothing has run."""
    with pytest.raises(UserError) as raised:
        call()
    assert not ran()
    assert re.search(said, str(raised.value))
    assert len(str(raised.value).splitlines()) <= 2


# --- TensorFlow Datasets

CORE = "tensorflow_datasets.core.features."
IMAGE = {
    "image": {"dtype": "uint8", "shape": {"dimensions": ["8", "8", "1"]}},
    "pythonClassName": CORE + "image_feature.Image",
}
PLANTED = {"pythonClassName": "planted.Feature", "tensor": {}}


def of_features(**features):
    name = CORE + "features_dict.FeaturesDict"
    return {"featuresDict": {"features": features}, "pythonClassName": name}


def write_tfds(folder, features, /, records=(), **info):
    """Writes a dataset "mine" as TFDS prepares it."""
    from array_record.python.array_record_module import ArrayRecordWriter

    folder = folder / "mine" / "1.0.0"
    folder.mkdir(parents=True)
    split = {"name": "train", "numBytes": "1", "shardLengths": [str(len(records))]}
    about = {"fileFormat": "array_record", "name": "mine", "version": "1.0.0", "splits": [split]}
    (folder / "features.json").write_text(json.dumps(features))
    (folder / "dataset_info.json").write_text(json.dumps(about | info))
    writer = ArrayRecordWriter(str(folder / "mine-train.array_record-00000-of-00001"))
    for record in records:
        writer.write(record)
    writer.close()


def example(image):
    """A record of TFDS with one feature."""
    from tensorflow_datasets.proto import tf_example_pb2, tf_feature_pb2

    content = tf_feature_pb2.Feature(bytes_list=tf_feature_pb2.BytesList(value=[image]))
    features = tf_feature_pb2.Features(feature={"image": content})
    return tf_example_pb2.Example(features=features).SerializeToString()


def load_tfds(folder, name="mine"):
    values = {"dataset__name": name, "dataset__data_dir": str(folder), "dataset__size": 8}
    return data.load(tiny_config(**values, batch_size=2))


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("features.json", of_features(image=IMAGE, other=PLANTED)),
        ("features.json", {"type": "planted.Feature", "content": {}}),
        (
            "features.json",  # As text in the text.
            of_features(
                image=IMAGE,
                other={
                    "pythonClassName": CORE + "features_dict.FeaturesDict",
                    "jsonFeature": {"json": '{"x": {"type": "planted.Feature", "content": {}}}'},
                },
            ),
        ),
        ("dataset_info.json", PLANTED),
    ],
)
def test_tfds_runs_no_module_that_a_dataset_names(place, content, ran, tmp_path):
    features, info = of_features(image=IMAGE), {}
    if place == "features.json":
        features = content
    else:
        info = {"features": content}
    write_tfds(tmp_path, features, **info)
    said = rf"mine/1\.0\.0/{place}: the feature planted\.Feature is none of TFDS's own"
    assert_refused(lambda: load_tfds(tmp_path), said, ran)


def test_tfds_runs_no_module_of_a_dataset_outside_of_the_folder(ran, tmp_path):
    write_tfds(tmp_path / "elsewhere", PLANTED)
    (tmp_path / "folder" / "mine" / ".config").mkdir(parents=True)
    default = json.dumps({"default_config_name": str(tmp_path / "elsewhere" / "mine")})
    (tmp_path / "folder" / "mine" / ".config" / "metadata.json").write_text(default)
    said = r"folder/mine: the feature planted\.Feature"
    assert_refused(lambda: load_tfds(tmp_path / "folder"), said, ran)


@pytest.mark.parametrize(
    "name",
    [
        "huggingface:mnist",
        "stacked_huggingface:mnist",
        "kubric:movi_a",
        "mine/..:1.0.0",
        "mine/data_dir=elsewhere",
    ],
)
def test_a_datasets_name_fetches_no_code(name, ran, tmp_path):
    write_tfds(tmp_path, PLANTED)
    shutil.copytree(tmp_path / "mine" / "1.0.0", tmp_path / "1.0.0")
    said = "nor a dataset of TensorFlow Datasets"
    assert_refused(lambda: load_tfds(tmp_path, name), said, ran)


def test_a_module_named_in_the_information_is_not_imported(ran, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    records = [example(png(image)) for image in images]
    write_tfds(tmp_path, of_features(image=IMAGE), records, moduleName="planted")
    dataset = load_tfds(tmp_path)
    np.testing.assert_array_equal(dataset.train.images[..., 0], images[:27])
    assert not ran()


def test_tfds_runs_no_postscript(ran, tmp_path):
    write_tfds(tmp_path, of_features(image=IMAGE), [example(POSTSCRIPT)] * 4)
    assert_refused(lambda: load_tfds(tmp_path), "split train: cannot be read", ran)


# --- Other files


def test_pictures_run_no_postscript(ran, tmp_path):
    (tmp_path / "strip.png").write_bytes(POSTSCRIPT)
    assert embed(str(tmp_path / "strip.png")) is None
    assert read_png(str(tmp_path / "strip.png")) is None
    assert not ran()


def npz_of_objects(path):
    objects = np.array([Payload()] * 4, object)
    np.savez(path, features=objects, tags=objects, **{"Conv2d_1a_3x3.conv.weight": objects})


def read_features(path):
    run = types.SimpleNamespace(gan=types.SimpleNamespace(condition=conditions.Features(3)))
    return sample.read_features(path, run, None)


READERS = {
    "table": lambda path: tag_tables.load_table(path, 4, "", 1),
    "features": lambda path: tag_tables._features(path, np.arange(1, 4)),
    "image": read_features,
    "words": word_vectors.read,
    "weights": inception.load,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["npz", "npy", "pickle"])
def test_no_pickle_is_loaded(kind, reader, ran, tmp_path):
    ending = {"table": "npz", "words": "txt", "weights": "npz"}.get(reader, "npy")
    path = tmp_path / f"file.{ending}"
    with path.open("wb") as file:
        if kind == "npz":
            npz_of_objects(file)
        elif kind == "npy":
            np.save(file, np.array([Payload()] * 4, object))
        else:
            pickle.dump(Payload(), file)
    assert_refused(lambda: READERS[reader](str(path)), r"file\.\w+: cannot be read", ran)


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_no_pickle_of_pytorch_is_loaded(kind, ran, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "file.pth"
    with path.open("wb") as file:
        pickle.dump(Payload(), file) if kind == "pickle" else torch.save(Payload(), file)
    assert_refused(lambda: inception.load(str(path)), "cannot be read", ran)


def test_pytorch_that_runs_files_is_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__="2.5.1+cpu"))
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(UserError, match=r"PyTorch 2\.5\.1\+cpu may run code"):
        inception.load(str(tmp_path / "w.pth"))


def test_word_vectors_come_from_no_address(monkeypatch):
    def connect(*_):
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket.socket, "connect", connect)
    for words in ("http://127.0.0.1:9/words.txt", "hdfs:///words.txt", "ssh://host/words.txt"):
        with pytest.raises(UserError, match="No such file"):
            word_vectors.read(words)


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_or_a_device_is_not_read(reader, tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "endless.npy").symlink_to("/dev/zero")
    for name in ("pipe.npy", "endless.npy"):
        with pytest.raises(UserError, match=r"\.npy: cannot be read \(it is not a regular file\)"):
            READERS[reader](str(tmp_path / name))


# --- The run itself


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run of a point GAN that has not trained; copied by `workdir`."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    config = load_config("gan", "ring")
    dataset = data.load(config)
    condition = conditions.make(config, dataset.label_names, dataset.classes)
    gan = build_gan(config, dataset.image_shape, condition)
    run_folder.enter(config, str(folder), dataset, gan).close()
    state = jax.vmap(lambda key: initialise(gan, key))(jax.random.split(jax.random.key(0), 1))
    with contextlib.closing(Checkpoints(str(folder / "checkpoints"), 1)) as checkpoints:
        checkpoints.save(0, {"state": state, "best": first_best(state)})
    return folder


@pytest.fixture
def workdir(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "one")


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def planted_handler(folder):
    path = folder / "_CHECKPOINT_METADATA"
    about = json.loads(path.read_text())
    about["item_handlers"] = dict.fromkeys(about["item_handlers"], "planted.Handler")
    path.write_text(json.dumps(about))


def planted_type(folder):
    replace(folder / "arrays" / "_METADATA", '"np.ndarray"', '"planted.Type"')


def planted_tree(folder):
    path = folder / "arrays" / "_METADATA"
    about = json.loads(path.read_text())
    entries = [{"key": "a", "value": {"category": "custom", "clazz": "planted.Leaf"}}]
    tree = {"category": "namedtuple", "module": "planted", "clazz": "Tree", "entries": entries}
    about["value_metadata_tree"] = json.dumps(tree)
    path.write_text(json.dumps(about))


def planted_sharding(folder):
    sharding = json.dumps({"sharding_type": "planted.Sharding"})
    name = base64.b64encode(b"state.step").decode()
    (folder / "arrays" / "_sharding").write_text(json.dumps({name: sharding}))


def planted_pickles(folder):
    for path in [x for x in folder.rglob("*") if x.is_file()]:
        path.write_bytes(pickle.dumps(Payload()))


PLANTED_IN_CHECKPOINTS = (
    planted_handler, planted_type, planted_tree, planted_sharding, planted_pickles,
)  # fmt: skip


@pytest.mark.parametrize("plant", PLANTED_IN_CHECKPOINTS)
def test_a_checkpoint_names_no_code(plant, workdir, ran):
    plant(workdir / "checkpoints" / "0")
    with contextlib.suppress(UserError):
        assert jaxgan.load(str(workdir)).step == 0
    assert not ran()


def test_a_run_is_read_and_nothing_else_happens(workdir, tmp_path):
    """In a process of its own, because the hook that watches it stays. Pickles, and modules with
    the names of those that jaxgan imports, lie everywhere in the folder."""
    folders = [workdir, *(path for path in workdir.rglob("*") if path.is_dir())]
    for folder in folders:
        for name in ("sitecustomize", "conftest", "numpy", "jaxgan", "tensorflow", "__init__"):
            (folder / f"{name}.py").write_text("raise SystemExit('ran')")
        (folder / "state.pkl").write_bytes(pickle.dumps(Payload()))
    (workdir.parent / ".compiled").mkdir()
    code = f"""
import os, sys
import jaxgan, orbax.checkpoint
from jaxgan.reporting.html.report import write_report
from jaxgan.training import jax_setup

workdir, happened = {str(workdir)!r}, []

def watch(event, given):
    given = [str(getattr(x, "co_filename", x)) for x in given]
    inside = any(x.startswith((workdir, os.path.dirname(workdir) + "/.compiled")) for x in given)
    runs = event in ("exec", "compile", "import", "ctypes.dlopen") and inside
    writes = event == "open" and inside and any(mode in given[1] for mode in "wax+")
    if runs or writes or event in ("subprocess.Popen", "os.system", "socket.connect"):
        happened.append((event, given))
    if event == "pickle.find_class":
        happened.append((event, given))

sys.addaudithook(watch)
jax_setup.configure_jax()
run = jaxgan.load(workdir)
assert run.sample(3).shape == (3, 1, 1, 2)
jaxgan.data.load(run.config)
assert not happened, happened
"""
    done = run_python("-W", "ignore", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_no_link_is_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / f"results.json.{os.getpid()}.part").symlink_to(precious)
    (tmp_path / "results.json").symlink_to(precious)
    write_json(str(tmp_path / "results.json"), 1)
    assert precious.read_text() == "mine"
    assert (tmp_path / "results.json").read_text() == "1\n"


@pytest.mark.parametrize("name", ["../../.profile", "samples/../../.profile", "/root/.profile"])
def test_a_bucket_is_not_copied_outside_of_its_folder(name):
    bucket = object.__new__(buckets.Bucket)
    bucket.url, bucket.root, bucket._failures = "s3://kept/run", "kept/run", ()
    found = ["kept/run/config.json", f"kept/run/{name}"]
    bucket.files = types.SimpleNamespace(exists=lambda _: True, find=lambda _: found)
    with pytest.raises(UserError, match="would lie outside of its folder"):
        bucket.names()
