"""Two processes on one machine, started as docs/devices.md says.

Invariants over several hosts: processes agree with one device, and a killed run ends with the same
bits."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import time

import forks
import jax
import numpy as np
import pytest
from conftest import PATIENCE, ROOT, command_environment, load_config

from jaxgan import data, train
from jaxgan.common import buckets
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.data.batches import Batch
from jaxgan.data.loader import BatchLoader, ExampleIndices
from jaxgan.models import conditions
from jaxgan.training import distributed
from jaxgan.training import mesh as mesh_lib
from jaxgan.training import program as program_lib
from jaxgan.training.checkpoint import Checkpoints
from jaxgan.training.gan import build_gan
from jaxgan.training.heartbeat import REMEDY
from jaxgan.training.run_files import read_metrics

# Of that page's config, with dropout in both networks.
VALUES = {
    "dtype": "float64",
    "width": 0.05,
    "batch_size": 16,
    "steps": 100_000,
    "log_every": 5,
    "sample_every": 100_000,
    "eval_every": 10,
    "checkpoint_every": 10,
    "checkpoints_kept": 10_000,
    "eval_images": 64,
    "tensorboard": False,
}


def documented_commands():
    """The arguments of the page's two lines for one machine."""
    page = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\./run\.sh (.*--coordinator=localhost.*)$", page, re.M)
    assert len(lines) == 2
    return [shlex.split(line.removesuffix("&")) for line in lines]


# A config file whose processes wait for one another for ever, in a collective, instead of training.
WAITING = f"""
import pathlib
import runpy
import time

import jaxgan.train
from jaxgan.training import distributed, jax_setup


def wait(config, workdir, modules):
    jax_setup.configure_jax()
    pathlib.Path(workdir).touch()
    while True:
        distributed.all_max(0)
        time.sleep(0.2)  # Four processes would otherwise use all cores for nothing.


def get_config(arg=""):
    return runpy.run_path({str(ROOT / "configs" / "cgan.py")!r})["get_config"](arg)


jaxgan.train.train = wait
"""


class Hosts:
    """Both processes; the second is given a folder of its own, which it should not touch. A config
    replaces the page's."""

    def __init__(self, folder, config=None, *flags):
        self.folder, self.config, self.flags, self.starts = folder, config, flags, 0
        self.start()

    def start(self):
        with socket.create_server(("", 0)) as server:
            port = server.getsockname()[1]
        self.starts += 1
        self.both, self.outputs = [], []
        for i, arguments in enumerate(documented_commands()):
            flags = [x for x in arguments if not x.startswith("--coordinator")]
            if self.config:
                flags = [f"--config={self.config}", *flags[1:]]
            flags += [f"--config.{name}={value}" for name, value in VALUES.items()]
            flags += [f"--coordinator=localhost:{port}", f"--workdir={self.folder / str(i)}"]
            flags += self.flags
            output = self.folder / f"output-{i}"
            output.unlink(missing_ok=True)
            self.outputs.append(output)
            environment = command_environment()
            process = forks.start("jaxgan.main", flags, ROOT, environment, output, output)
            self.both.append(process)

    def wait_for(self, path):
        """Until a path is there. Between the choice of a port and its use another program may take
        it: then both are started again, with another."""
        until = time.monotonic() + PATIENCE
        while not path.exists():
            if any(process.exitcode is not None for process in self.both):
                self.kill()
                said = "".join(output for _, output in self.end())
                taken = "cannot be opened" in said or "ddress already in use" in said
                assert taken, said
                assert self.starts < 5, said
                self.start()
            assert time.monotonic() < until
            time.sleep(0.02)

    def kill(self):
        for process in self.both:
            process.kill()

    def end(self):
        """(status, output) of each."""
        for process in self.both:
            process.join(PATIENCE)
        ended = [process.exitcode for process in self.both]
        self.kill()
        assert None not in ended
        said = [path.read_text(encoding="utf-8") for path in self.outputs]
        return list(zip(ended, said, strict=True))


def reference(steps):
    """What one process with one device computes."""
    config = update(load_config("cgan", "mlp"), VALUES)
    dataset = data.load(config)
    condition = conditions.make(config, dataset.label_names, dataset.classes)
    gan = build_gan(config, dataset.image_shape, condition)
    mesh = mesh_lib.make_mesh(1, [gan.config.batch_size], jax.devices()[:1])
    training = dataset.train
    program = program_lib.Program(gan, (0,), Batch(training.images, training.labels), mesh, 1)
    places = ExampleIndices(
        (0,), len(training), (1, gan.config.batch_size), config.dataset.replacement
    )
    feed = BatchLoader(training, places, 0, steps, workers=0, on_device=True)
    state = program.initialise()
    for _ in range(steps):
        state, _ = program.run(state, feed.next(1))
    return jax.device_get(state)


def left_at_20(run):
    """Rows without their times, and each leaf's digest, up to step 20."""
    rows = [
        {name: value for name, value in row.items() if not name.startswith("time/")}
        for row in read_metrics(str(run / "metrics.jsonl")).rows
        if row["step"] <= 20
    ]
    return rows, json.loads((run / "checkpoints" / "20" / "digests" / "metadata").read_text())


def skip_if_orbax_is_too_old():
    with contextlib.suppress(UserError):
        distributed.check_orbax()
        return
    pytest.skip("orbax-checkpoint is too old for several processes")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.11.36", "orbax-checkpoint 0.11.36 cannot"),
        ("0.12.2", "0.12.2"),
        ("0.12.3", ""),
        ("1", ""),
    ],
)
def test_an_orbax_that_cannot_save_from_several_processes_is_refused(monkeypatch, version, said):
    monkeypatch.setattr(distributed.importlib.metadata, "version", lambda name: version)
    refused = pytest.raises(UserError, match=said) if said else contextlib.nullcontext()
    with refused:
        distributed.check_orbax()


def test_two_processes_equal_one_run(tmp_path, float64):
    """The first is killed, and the second does not wait for it; started again, both write the same
    bits as before; a signal to the second stops both; all agrees with one process."""
    skip_if_orbax_is_too_old()
    run, step_20 = tmp_path / "0", tmp_path / "0" / "checkpoints" / "20"
    hosts = Hosts(tmp_path)
    hosts.wait_for(step_20)
    hosts.both[0].kill()
    (killed, _), (left, _) = hosts.end()
    assert killed == -signal.SIGKILL
    assert left != 0
    before = left_at_20(run)
    assert [row["step"] for row in before[0]] == [5, 10, 15, 20]
    for path in (run / "checkpoints").iterdir():
        if path.name.isdigit() and int(path.name) > 10:
            shutil.rmtree(path)

    hosts = Hosts(tmp_path)
    hosts.wait_for(step_20)
    os.kill(hosts.both[1].pid, signal.SIGTERM)
    (status, first), (other_status, second) = hosts.end()
    assert (status, other_status) == (128 + signal.SIGTERM,) * 2, first + second
    assert "going on from step 10" in first
    stopped = int(re.search(r"stopped at step (\d+), saved", first)[1])
    assert (run / "checkpoints" / str(stopped)).exists()
    assert left_at_20(run) == before

    assert set(os.listdir(tmp_path)) <= {"0", ".compiled", "output-0", "output-1"}
    assert "step" not in second
    expected = reference(20)
    checkpoints = Checkpoints(str(run / "checkpoints"), 1, read_only=True)
    found = checkpoints._read(20)
    checkpoints.close()
    for path, leaf in jax.tree_util.tree_leaves_with_path(expected):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        np.testing.assert_allclose(found[f"state.{name}"], leaf, rtol=0, atol=1e-9, err_msg=name)


def test_a_process_that_hangs_ends_the_other(tmp_path):
    """Each in turn is stopped by a signal: shortly, then for good. Continued, it ends too."""
    skip_if_orbax_is_too_old()
    config = tmp_path / "waiting.py"
    config.write_text(WAITING)
    pairs = []
    try:
        for hanging in range(2):
            folder = tmp_path / str(hanging)
            folder.mkdir()
            pairs.append(Hosts(folder, config, "--host_timeout=10"))
            for path in (folder / "0", folder / "1"):
                pairs[-1].wait_for(path)
            for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP):
                os.kill(pairs[-1].both[hanging].pid, number)
                time.sleep(0.5)
            assert [process.exitcode for process in pairs[-1].both] == [None, None]
        for hanging, hosts in enumerate(pairs):
            hosts.both[1 - hanging].join(PATIENCE)
            os.kill(hosts.both[hanging].pid, signal.SIGCONT)
            ended = hosts.end()
            status, output = ended[1 - hanging]
            assert status == 1, output
            line = f"jaxgan: no answer from process {hanging} for 10 s, so this one ends too\n"
            assert output.endswith(f"{line}{REMEDY}\n")
            # Here JAX may come first, which notices at the same moment that the other is gone.
            status, output = ended[hanging]
            assert status != 0, output
    finally:
        for hosts in pairs:
            hosts.kill()


def test_all_wait_until_the_first_has_sent_its_folder(monkeypatch):
    events = []

    @contextlib.contextmanager
    def working_copy(url):
        yield "copy"
        events.append("sent")

    monkeypatch.setattr(buckets, "working_copy", working_copy)
    monkeypatch.setattr(distributed, "all_max", lambda number: events.append("all here"))
    monkeypatch.setattr(train, "_train", lambda config, workdir, *rest: events.append(workdir))
    train.train(load_config("gan"), "bucket")
    assert events == ["all here", "copy", "sent", "all here"]


def test_a_host_that_does_not_share_the_folder_says_so(monkeypatch, tmp_path):
    """`jaxgan.train` ends by loading the run, which only the first process has written."""
    monkeypatch.setattr(train, "train", lambda *_: 0)
    monkeypatch.setattr(distributed, "is_primary", lambda: False)
    with pytest.raises(UserError, match="the first process, which writes the run, has another"):
        train(load_config("gan"), str(tmp_path / "run"))


def test_a_mistake_of_another_process_ends_this_one(monkeypatch):
    with pytest.raises(UserError, match="mine"), distributed.synchronized():
        raise UserError("mine")
    monkeypatch.setattr(distributed, "all_max", lambda failed: 1)
    with pytest.raises(UserError, match="another process"), distributed.synchronized():
        pass


def test_hosts_with_different_configs_are_refused(monkeypatch):
    distributed.check_same("the config", "seed=0")
    monkeypatch.setattr(distributed, "all_max", lambda number: max(number, 7))
    with pytest.raises(UserError, match="the config is not the same"):
        distributed.check_same("the config", "seed=0")


def test_broadcasts_the_bits_of_the_first_process():
    sent = {"a": np.float32([-0.0, np.nan, np.inf]), "b": np.array(True), "c": np.zeros((0, 2))}
    found = distributed.broadcast_from_primary(sent, sent)
    for name, array in sent.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_waiting_for_a_coordinator_times_out(monkeypatch, capsys):
    ended = []
    monkeypatch.setattr(distributed, "_PATIENCE", 0)
    monkeypatch.setattr(os, "_exit", ended.append)
    with distributed._patience("host:1"):
        until = time.monotonic() + PATIENCE
        while not ended and time.monotonic() < until:
            time.sleep(0.01)
    assert ended == [1]
    assert "host:1: not all processes met" in capsys.readouterr().err


def test_outside_of_a_cluster_a_process_stays_alone():
    """Also where the config has asked JAX for its devices, as these tests have."""
    assert jax.devices()
    distributed.initialize()
    assert distributed.is_single_process()
    with pytest.raises(UserError, match=r"cannot be joined: .* must be called before"):
        distributed.initialize("localhost:1", 2, 1)


def test_a_taken_port_is_refused():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} cannot be opened"):
            distributed.initialize(f"localhost:{port}", 2, 0)
