import contextlib
import dataclasses
import functools
import gc
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import PATIENCE, ROOT, command_environment
from data_files import load, some_images, write_classes, write_csv, write_idx

from jaxgan.common.errors import ProcessDied, UserError
from jaxgan.data import streaming
from jaxgan.data.batches import indices
from jaxgan.data.sources import tfds
from jaxgan.data.streaming import ArraySource, Streamed

SHARED = ROOT.parent / "shared" / "tfds"


@dataclasses.dataclass(frozen=True)
class Places:
    """A step's places, as the loop draws them; a class, so that worker processes can have it."""

    seed: int
    images: int

    def __call__(self, step):
        return indices(self.seed, step, self.images, (2, 3), False)


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    path = tmp_path_factory.mktemp("classes")
    write_classes(path)
    return path


def expected(images, places_of, start, stop):
    return np.stack([images[places_of(step)] for step in range(start, stop)])


def test_a_streamed_split_reads_as_an_array_does(classes):
    resident = load("folder", classes, dataset__streamed="no")
    lazy = load("folder", classes, dataset__streamed="yes")
    assert isinstance(resident.train.images, np.ndarray)
    assert isinstance(lazy.train.images, Streamed)
    images, stream = resident.train.images, lazy.train.images
    assert (stream.shape, stream.dtype, len(stream)) == (images.shape, images.dtype, len(images))
    for key in (
        3,
        -1,
        slice(2, 9, 3),
        slice(None),
        slice(5, 5),
        np.array([4, 0, 4]),
        np.array([[1, -2], [3, 0]], np.int32),
        resident.train.labels == 0,
    ):
        np.testing.assert_array_equal(stream[key], images[key], strict=True)
    with pytest.raises(IndexError):
        stream[len(stream)]
    taken = stream.take(np.array([5, 2, 8]))
    assert isinstance(taken, Streamed)
    np.testing.assert_array_equal(taken[1:], images[[2, 8]])
    np.testing.assert_array_equal(taken.take(np.array([2]))[:], images[[8]])
    # Splits of it: chosen lazily, the first n read now.
    cats = lazy.train.where([0])
    assert isinstance(cats.images, Streamed)
    np.testing.assert_array_equal(cats.images[:], resident.train.where([0]).images)
    np.testing.assert_array_equal(cats.labels, resident.train.where([0]).labels)
    first = lazy.train.first(4)
    assert isinstance(first.images, np.ndarray)
    np.testing.assert_array_equal(first.images, images[:4])
    np.testing.assert_array_equal(lazy.validation.images[:], resident.validation.images)
    assert lazy.digest() == resident.digest()
    assert lazy.image_shape == resident.image_shape


def test_a_folder_that_changed_has_another_digest(tmp_path):
    write_classes(tmp_path)
    digests = {load("folder", tmp_path, dataset__streamed="yes").digest()}
    digests.add(load("folder", tmp_path, dataset__streamed="yes", dataset__channels=1).digest())
    (tmp_path / "cat" / "000.png").rename(tmp_path / "cat" / "0000.png")
    digests.add(load("folder", tmp_path, dataset__streamed="yes").digest())
    assert len(digests) == 3


@pytest.mark.parametrize("name", ["digits", "idx", "csv"])
def test_sources_in_memory_can_be_streamed(tmp_path, name):
    write_idx(tmp_path, *some_images())
    write_csv(tmp_path / "train.csv", *some_images())
    data_dir = tmp_path if name in ("idx", "csv") else ""
    chosen = {"dataset__classes": "1+3+5"}
    resident = load(name, data_dir, **chosen)
    lazy = load(name, data_dir, dataset__streamed="yes", **chosen)
    assert isinstance(resident.train.images, np.ndarray)
    assert isinstance(lazy.train.images, Streamed)
    assert lazy.digest() == resident.digest()
    places = Places(0, len(resident.train))
    for images in (resident.train.images, lazy.train.images):
        got = list(streaming.batches(images, places, 3, 7))
        np.testing.assert_array_equal(
            got, expected(resident.train.images, places, 3, 7), strict=True
        )


def test_streaming_is_automatic_beyond_two_gibibytes():
    most = (2**31 // (64 * 64), 64, 64, 1)
    more = (most[0] + 1, 64, 64, 1)
    assert not streaming.wanted("auto", most)
    assert streaming.wanted("auto", more)
    assert not streaming.wanted("no", more)
    assert streaming.wanted("yes", (1, 1, 1, 1))


@pytest.mark.parametrize(("workers", "start"), [(0, 0), (0, 5), (2, 5)])
def test_batches_do_not_depend_on_workers_or_start(classes, workers, start):
    resident = load("folder", classes, dataset__streamed="no").train.images
    stream = load("folder", classes, dataset__streamed="yes").train.images
    places = Places(7, len(resident))
    batches = streaming.batches(stream, places, start, 1_000_000, workers)
    got = [next(batches) for _ in range(6)]
    batches.close()
    wanted = expected(resident, places, 0, 11)[start : start + 6]
    np.testing.assert_array_equal(got, wanted, strict=True)


def test_batches_end_at_the_last_step(classes):
    images = load("folder", classes, dataset__streamed="yes").train.images
    assert [len(list(streaming.batches(images, Places(7, 27), 4, n))) for n in (4, 5, 9)] == [
        0, 1, 5,
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_reader_names_the_file(tmp_path, workers):
    write_classes(tmp_path)
    for path in (tmp_path / "dog").iterdir():
        path.write_bytes(b"nothing")
    stream = load("folder", tmp_path, dataset__streamed="yes", dataset__validation=0).train.images
    everything = functools.partial(np.add, np.arange(30))
    batches = streaming.batches(stream, everything, 0, 1, workers)
    with pytest.raises(UserError, match=r"dog/\d+\.png: cannot be read as an image"):
        next(batches)


class _Dies(ArraySource):
    def read(self, places):
        os._exit(3)


def test_a_worker_that_dies_is_reported():
    stream = Streamed(_Dies(np.zeros((4, 1, 1, 1), np.uint8), processes=True))
    with pytest.raises(ProcessDied, match=r"worker process .* \(exit code 3\)"):
        next(streaming.batches(stream, Places(0, 4), 0, 5, 1))


def test_the_error_of_a_dead_worker_is_collected_without_a_word():
    workers = streaming._Workers(abs, 1)
    assert workers(-3) == 3
    (process,) = workers._processes
    process.kill()
    process.join()
    with pytest.raises(ProcessDied) as caught:
        workers(-4)
    caught.value.itself = caught.value  # A cycle, as a thread's result is.
    del caught
    gc.collect()  # What is written here fails the test.


def test_a_killed_worker_ends_the_run_in_two_lines(classes, tmp_path):
    values = {
        "dataset.name": "folder",
        "dataset.data_dir": classes,
        "dataset.size": 64,
        "dataset.streamed": "yes",
        "dataset.workers": 2,
        "width": 0.05,
        "batch_size": 16,
        "steps": 100_000,
        "log_every": 1,
        "tensorboard": False,
    }
    flags = [f"--config.{name}={value}" for name, value in values.items()]
    run = subprocess.Popen(
        [sys.executable, "-m", "jaxgan.main", f"--config={ROOT}/configs/gan.py", *flags],
        cwd=tmp_path,
        env=command_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows = tmp_path / "runs" / "gan" / "metrics.jsonl"
    deadline = time.monotonic() + PATIENCE
    try:
        while not (rows.exists() and rows.stat().st_size) and run.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for pid in _workers(run.pid)[:1]:
            os.kill(pid, signal.SIGKILL)
        _, said = run.communicate(timeout=PATIENCE)
    finally:
        run.kill()
    assert run.returncode == 1, said
    assert said.splitlines() == [
        "jaxgan: a worker process that reads images died (SIGKILL)",
        "the same command goes on; if memory is short, with --config.dataset.workers=0",
    ]


def _workers(parent):
    """The pids of the processes that `multiprocessing` has started for another one."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It has ended meanwhile.
            fields = (path / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


_SCRIPT = """
import multiprocessing, os, signal, sys, threading, time
import numpy as np
from jaxgan.data import streaming
from jaxgan.data.sources import image_folder

class Place:
    def __call__(self, step):
        return np.array([step % 27])

def ctrl_c():
    while not multiprocessing.active_children():
        time.sleep(0.001)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGINT)
        os.kill(child.pid, signal.SIGTERM)

if __name__ == "__main__":
    threading.Thread(target=ctrl_c, daemon=True).start()
    images = image_folder.load(sys.argv[1], 8, streamed="yes").train.images
    for batch in streaming.batches(images, Place(), 0, 10**9, 1):
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        time.sleep(60)
"""


def test_workers_end_with_a_killed_run_and_ignore_signals(classes, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(_SCRIPT)
    run = subprocess.Popen(
        [sys.executable, script, classes],
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with run:
        workers = [int(pid) for pid in run.stdout.readline().split()]
        assert workers
        run.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while any(_running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [pid for pid in workers if _running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def _running(pid):
    """Whether a process runs; an ended one that nobody has waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not SHARED.is_dir(), reason="no prepared CIFAR-10 next to the checkout")
def test_tfds_streams_the_same_images():
    source = tfds.TfdsSource(tfds._builder("cifar10", str(SHARED)), "test", "image", 16)
    resident = source.read_all(True)
    np.testing.assert_array_equal(source.labels(), resident.labels, strict=True)
    stream = Streamed(source)
    assert stream.shape == resident.images.shape == (10_000, 16, 16, 3)
    places = Places(0, 10_000)
    got = list(streaming.batches(stream, places, 2, 5))
    np.testing.assert_array_equal(got, expected(resident.images, places, 2, 5), strict=True)
    assert "cifar10/3.0.2 test (10000," in source.fingerprint()
