"""Runs in buckets, on real servers of both kinds of store on this machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
from conftest import PATIENCE, ROOT, run_forked

import jaxgan
from jaxgan.common import buckets
from jaxgan.common.errors import UserError

SERVERS = {
    "s3": ("moto_server", "--host=127.0.0.1", "--port={port}"),
    "gs": (
        "gcp-storage-emulator", "start", "--host=127.0.0.1", "--port={port}", "--in-memory",
        "--default-bucket=kept",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=["s3", "gs"])
def store(request):
    """The URL of a bucket, and the environment with which it is reached."""
    kind = request.param
    pytest.importorskip({"s3": "s3fs", "gs": "gcsfs"}[kind])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    program, *arguments = (word.format(port=port) for word in SERVERS[kind])
    command = [str(Path(sys.executable).parent / program), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    environment = {"STORAGE_EMULATOR_HOST": url}
    if kind == "s3":
        environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        _wait_for(url)
        if kind == "s3":
            fsspec.filesystem("s3", skip_instance_cache=True).mkdir("kept")
        yield f"{kind}://kept", environment
    process.kill()
    process.wait()


def _wait_for(url):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def impatient(monkeypatch):
    """Locks are renewed often, and looked at often; the lease is the usual one."""
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: time.sleep(0.02))
    monkeypatch.setattr(buckets.lock, "time", clock)
    monkeypatch.setattr(buckets.copies, "INTERVAL", 0.05)


def put(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_mirror_sends_changes_and_complete_checkpoints(store, tmp_path):
    bucket = buckets.Bucket(f"{store[0]}/mirror")
    local = tmp_path / "local"
    local.mkdir()
    mirror = buckets.Mirror(bucket, str(local))
    put(local, "metrics.jsonl", "1")
    put(local, ".lock", "the local run's own")
    put(local, "checkpoints/10/arrays/d", "ten")
    put(local, "checkpoints/20.orbax-checkpoint-tmp/arrays/d", "unfinished")
    mirror.send()
    expected = {"metrics.jsonl", "checkpoints/10/arrays/d", "checkpoints/10.complete"}
    assert bucket.names() == expected
    put(local, "metrics.jsonl", "12")
    shutil.rmtree(local / "checkpoints" / "10")
    put(local, "checkpoints/20/arrays/d", "twenty")
    mirror.send()
    assert bucket.names() == {name.replace("/10", "/20") for name in expected}
    # A sending that was cut off has not written the object that completes a checkpoint.
    bucket.write("checkpoints/30/arrays/d", b"half")
    copy = tmp_path / "copy"
    buckets.Mirror(bucket, str(copy))
    assert (copy / "metrics.jsonl").read_text() == "12"
    assert sorted(os.listdir(copy / "checkpoints")) == ["20"]


def test_a_checkpoint_that_is_deleted_while_it_is_sent_is_not_complete(
    store, tmp_path, monkeypatch
):
    bucket = buckets.Bucket(f"{store[0]}/deleted")
    for part in ("a", "b", "c"):
        put(tmp_path, f"checkpoints/10/arrays/{part}", part)
    send = buckets.Bucket.send

    def deleting(self, path, name):
        shutil.rmtree(tmp_path / "checkpoints" / "10", ignore_errors=name.endswith("b"))
        send(self, path, name)

    def after_the_first(self, path, name):
        send(self, path, name)
        monkeypatch.setattr(buckets.Bucket, "send", deleting)

    mirror = buckets.Mirror(bucket, str(tmp_path))
    monkeypatch.setattr(buckets.Bucket, "send", after_the_first)
    mirror.send()
    assert bucket.names() == {"checkpoints/10/arrays/a"}
    mirror.send()
    assert bucket.names() == set()


def test_a_checkpoint_is_completed_although_the_first_try_failed(store, tmp_path, monkeypatch):
    bucket = buckets.Bucket(f"{store[0]}/completed")
    put(tmp_path, "checkpoints/10/arrays/a", "a")
    mirror = buckets.Mirror(bucket, str(tmp_path))
    write = buckets.Bucket.write

    def failing(self, name, content):
        if name.endswith(".complete"):
            raise UserError("cannot be reached")
        write(self, name, content)

    monkeypatch.setattr(buckets.Bucket, "write", failing)
    with pytest.raises(UserError):
        mirror.send()
    monkeypatch.undo()
    assert bucket.names() == {"checkpoints/10/arrays/a"}
    mirror.send()
    assert bucket.names() == {"checkpoints/10/arrays/a", "checkpoints/10.complete"}


def test_a_lock_lasts_while_files_are_transferred(store, impatient, monkeypatch):
    """They take longer than a lock that is not renewed, at the beginning and at the end."""
    url = f"{store[0]}/slow"
    buckets.Bucket(url).write("config.json", b"{}")
    send, fetch = buckets.Bucket.send, buckets.Bucket.fetch

    def slowly(transfer):
        def slow(self, *names):
            for _ in range(2):
                with pytest.raises(UserError, match="is at work"):
                    buckets.Lock(buckets.Bucket(url))
            transfer(self, *names)

        return slow

    monkeypatch.setattr(buckets.Bucket, "send", slowly(send))
    monkeypatch.setattr(buckets.Bucket, "fetch", slowly(fetch))
    with buckets.working_copy(url) as local:
        put(Path(local), "metrics.jsonl", "1")
    assert buckets.Bucket(url).read("metrics.jsonl") == b"1"


def test_changes_that_cannot_be_sent_stay_on_the_disk(store, monkeypatch):
    url, said = f"{store[0]}/unsent", []

    def unreachable(self, path, name):
        raise UserError(f"{url} cannot be reached")

    monkeypatch.setattr(buckets.Bucket, "send", unreachable)
    with (
        pytest.raises(UserError, match="cannot be reached"),
        buckets.working_copy(url, said.append) as local,
    ):
        put(Path(local), "metrics.jsonl", "1")
    assert said == [f"{url} lacks the latest changes, which are in {local}"]
    assert (Path(local) / "metrics.jsonl").read_text() == "1"
    shutil.rmtree(local)
    # The lock is given back, and a copy whose changes are sent is removed.
    monkeypatch.undo()
    assert buckets.Bucket(url).names() == set()
    with buckets.working_copy(url, said.append) as local:
        put(Path(local), "metrics.jsonl", "1")
    assert not os.path.exists(local)


def test_a_lock_that_is_renewed_keeps_others_out(store, impatient):
    url = f"{store[0]}/locked"
    with buckets.working_copy(url), pytest.raises(UserError, match=rf"{os.getpid()} on .* is at"):
        buckets.Lock(buckets.Bucket(url))
    # It is given back at the end.
    buckets.Lock(buckets.Bucket(url)).release()
    assert buckets.Bucket(url).names() == set()


def test_a_dead_process_loses_its_lock(store, monkeypatch):
    monkeypatch.setattr(buckets.lock, "LEASE", 0.4)
    bucket = buckets.Bucket(f"{store[0]}/dead")
    dead = buckets.Lock(bucket)
    alive = buckets.Lock(bucket)
    assert alive.is_held()
    with pytest.raises(UserError, match="another process has taken over"):
        dead.renew()
    dead.release()  # Which does not take it from the other.
    assert alive.is_held()


def test_what_a_command_adds_is_sent_at_its_end(store, tmp_path):
    url = f"{store[0]}/added"
    with buckets.adding_copy(url, lambda _: None) as local:
        put(Path(local), "sampled.png", "a picture")
    assert buckets.Bucket(url).read("sampled.png") == b"a picture"
    with buckets.reading_copy(url) as local:
        assert os.listdir(local) == ["sampled.png"]
        put(Path(local), "other.png", "not sent")
    assert not os.path.exists(local)
    assert buckets.Bucket(url).names() == {"sampled.png"}


def test_data_is_fetched_once(store, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bucket = buckets.Bucket(f"{store[0]}/data")
    for name in ("mnist/1/a", "mnist/1/b", "cifar10/1/c"):
        bucket.write(name, name.encode())
    local = Path(buckets.fetched(bucket.url, "mnist/"))
    assert sorted(path.name for path in local.rglob("*") if path.is_file()) == ["a", "b"]
    one = buckets.fetched(f"{bucket.url}/cifar10/1/c")
    assert Path(one).read_text() == "cifar10/1/c"
    bucket.remove(["mnist/1/a"])
    assert buckets.fetched(bucket.url, "mnist/") == str(local)
    with pytest.raises(UserError, match="there is nothing"):
        buckets.fetched(f"{bucket.url}/none")


def test_errors_are_a_line_each(store, monkeypatch):
    with pytest.raises(UserError, match="unknown kind of store"):
        buckets.Bucket("ftp://kept/run")
    gone = f"{store[0].partition('//')[0]}//no-such-bucket/run"
    with pytest.raises(UserError, match="no-such-bucket/run cannot be reached"):
        buckets.Bucket(gone).write("file", b"")

    def absent(*_, **__):
        raise ImportError("Install its package")

    monkeypatch.setattr(fsspec, "filesystem", absent)
    with pytest.raises(UserError, match=r"pip install 'jaxgan\[(s3|gcs)\]'"):
        buckets.Bucket(store[0])


# --- A whole run

RUN = {
    "steps": 60,
    "width": 0.1,
    "batch_size": 16,
    "log_every": 20,
    "sample_every": 30,
    "eval_every": 30,
    "checkpoint_every": 20,
    "checkpoints_kept": 100,
    "tensorboard": False,
    "progress": False,
}
# The command's own config, whose process kills itself once, when its checkpoint is in the bucket:
# at any step, but the last steps wait for it.
CONFIG = f"""
import os, runpy, signal, threading
from jaxgan.common import buckets
from jaxgan.reporting.recorder import RunRecorder

buckets.lock.LEASE, buckets.copies.INTERVAL = 2.0, 0.1
if os.environ.get("KILL"):
    send = buckets.Mirror.send

    def noted(self):
        send(self)
        if any(name.endswith(".complete") for name in self.bucket.names()):
            os.kill(os.getpid(), signal.SIGKILL)

    buckets.Mirror.send = noted
    add_metrics = RunRecorder.add_metrics

    def waiting(self, step, *rest):
        add_metrics(self, step, *rest)
        if step >= 45:
            threading.Event().wait()

    RunRecorder.add_metrics = waiting


def get_config(arg=""):
    return runpy.run_path("{ROOT}/configs/gan.py")["get_config"](arg)
"""


def rows_and_results(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    digests = folder / "checkpoints" / str(RUN["steps"]) / "digests" / "metadata"
    return (
        [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows],
        json.loads((folder / "results.json").read_text()),
        json.loads(digests.read_text()),
    )


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Those of the run, but for its folder."""
    config = tmp_path_factory.mktemp("config") / "gan.py"
    config.write_text(CONFIG)
    return [f"--config={config}:ring", *(f"--config.{key}={value}" for key, value in RUN.items())]


@pytest.fixture(scope="module")
def on_disk(flags, tmp_path_factory):
    """The run on a disk, in one piece."""
    folder = tmp_path_factory.mktemp("disk") / "run"
    result = run_forked("jaxgan.main", *flags, f"--workdir={folder}")
    assert result.returncode == 0, result.stderr
    return rows_and_results(folder)


def test_a_killed_run_in_a_bucket_ends_with_the_bits_of_one_on_disk(
    store, flags, on_disk, tmp_path
):
    url, environment = f"{store[0]}/runs/one", store[1]

    def command(name, *more, **extra):
        folder = f"--workdir={url}"
        return run_forked(f"jaxgan.{name}", *more, folder, **environment, **extra)

    killed = command("main", *flags, KILL="yes")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = command("main", *flags)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from step" in resumed.stdout
    assert f"{url} has everything" in resumed.stdout
    buckets.Mirror(buckets.Bucket(url), str(tmp_path))
    assert rows_and_results(tmp_path) == on_disk
    # Another command on each of the stores.
    name, added = ("sample", "sampled.png") if url[:2] == "gs" else ("evaluate", "report.html")
    result = command(name)
    assert result.returncode == 0, result.stderr
    assert added in buckets.Bucket(url).names()
    assert jaxgan.load(url).sample(3).shape == (3, 1, 1, 2)


def test_two_processes_may_fetch_the_same_file(store, tmp_path, monkeypatch):
    """The second begins and ends while the first is at work."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bucket = buckets.Bucket(f"{store[0]}/both")
    bucket.write("a", b"whole")
    fetch = buckets.Bucket.fetch

    def second(self, name, path):
        monkeypatch.setattr(buckets.Bucket, "fetch", fetch)
        fetch(self, name, path)
        buckets.fetched(f"{bucket.url}/a")

    monkeypatch.setattr(buckets.Bucket, "fetch", second)
    local = Path(buckets.fetched(f"{bucket.url}/a"))
    assert local.read_bytes() == b"whole"
    assert [path.name for path in local.parent.iterdir()] == ["a"]
