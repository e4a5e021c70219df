"""Several hosts: one process on each, all running the same program on their own devices and their
own slice of each batch. A single process takes the same code path.
"""

import atexit
import contextlib
import importlib.metadata
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxgan.common.errors import UserError
from jaxgan.common.stop_signals import stopping_signals
from jaxgan.training.heartbeat import Heartbeat

# Seconds that a process waits for the others at the start; machines of a cluster boot unevenly.
_PATIENCE = 300
_ALONE = "to run this one alone: --coordinator=localhost:5432 --processes=1 --process=0"
_heartbeat: Heartbeat | None = None


def initialize(
    coordinator: str = "", processes: int = 0, process: int = 0, timeout: int = 60
) -> None:
    """Connects this process to those of the other hosts. Call it before `configure_jax`.

    Args:
      coordinator: "host:port" of process 0. If empty, JAX detects the cluster (TPU pod, Slurm,
        Kubernetes, Open MPI); outside of a cluster there is only this process.
      processes: number of processes.
      process: index of this process, from 0.
      timeout: seconds after which this process ends if another one does not answer.

    Raises:
      UserError: if the coordinator's port is taken, JAX cannot connect the cluster's processes, or
        Orbax is too old for several.
    """
    if not coordinator and _slurm_tasks() == 1:
        return  # Nobody to connect to, and the node's name may not even be known.
    logging.getLogger("jax._src.distributed").setLevel(logging.WARNING)
    # The training loop handles SIGTERM on every host; JAX's preemption service would intercept it.
    jax.config.update("jax_enable_preemption_service", False)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    arguments: dict[str, Any] = {}
    if coordinator:
        if process == 0:
            _check_port_free(coordinator)
        arguments = {
            "coordinator_address": coordinator,
            "num_processes": processes,
            "process_id": process,
            "cluster_detection_method": "deactivate",
        }
    elif _slurm_tasks():
        job = f"job {os.environ['SLURM_JOB_ID']} of Slurm has {_slurm_tasks()} tasks"
        print(f"{job}: this process waits for the others ({_ALONE})", flush=True)
    try:
        with _patience(coordinator or "the cluster's first process"):
            # The processes synchronize before they exit, so 30 s are enough for the shutdown.
            jax.distributed.initialize(
                **arguments,
                initialization_timeout=2 * _PATIENCE,
                # Then JAX aborts this process, with a page of output: only if `Heartbeat` fails.
                heartbeat_timeout_seconds=10 * timeout,
                shutdown_timeout_seconds=30,
            )
    except ValueError:
        # Without a coordinator, this means that JAX has detected no cluster.
        if coordinator:
            raise
    except RuntimeError as error:
        # If a config file has already used JAX's devices, it is too late to connect several
        # processes. That is harmless if there is only this one, so the error is ignored.
        if coordinator or "must be called before" not in str(error):
            what = f"the other processes cannot be joined: {str(error).splitlines()[0]}"
            raise UserError(what, _ALONE) from error
    _start_heartbeat(timeout)


def _slurm_tasks() -> int:
    """The number of Slurm's tasks if JAX would take this process for one of them, or 0."""
    required = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID")
    tasks = os.environ.get("SLURM_NTASKS", "")
    return int(tasks) if tasks.isdecimal() and all(x in os.environ for x in required) else 0


def _start_heartbeat(timeout: int) -> None:
    global _heartbeat
    # JAX has no public way to its key-value store. (Orbax uses this one, too.)
    from jax._src.distributed import global_state as state

    if state.num_processes > 1:
        check_orbax()
        _heartbeat = Heartbeat(state.client, state.process_id, state.num_processes, timeout)
        _heartbeat.start()
        # Runs before JAX closes the store, because it is registered later.
        atexit.register(_heartbeat.stop)


def check_orbax() -> None:
    """Raises UserError if Orbax is older than 0.12.3, which cannot save from several processes
    without JAX's preemption service. (jax2onnx, of the extra `export`, needs an older one.)"""
    version = importlib.metadata.version("orbax-checkpoint")
    if tuple(map(int, re.findall(r"\d+", version)[:3])) < (0, 12, 3):
        what = f"orbax-checkpoint {version} cannot save a run of several processes"
        raise UserError(what, "pip install 'orbax-checkpoint>=0.12.3'")


def _check_port_free(coordinator: str) -> None:
    """Raises UserError if the coordinator's port is taken, on which JAX itself would crash."""
    port = int(coordinator.rpartition(":")[2])
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        what = f"--coordinator={coordinator}: port {port} cannot be opened ({why})"
        raise UserError(what, "choose another port, the same on every host") from error


@contextlib.contextmanager
def _patience(whom: str) -> Iterator[None]:
    """Ends the process with a short message if the block takes longer than `_PATIENCE` seconds;
    JAX would end it with a page of output."""

    def end() -> None:
        remedy = f"start the same command on every host; {_ALONE}"
        what = f"{whom}: not all processes met within {_PATIENCE} s"
        print(f"jaxgan: {what}\n{remedy}", file=sys.stderr, flush=True)
        os._exit(1)

    timer = threading.Timer(_PATIENCE, end)
    timer.daemon = True
    timer.start()
    # Python's own handlers would have to wait for JAX, which waits in C++.
    main = threading.current_thread() is threading.main_thread()
    before = {x: signal.signal(x, signal.SIG_DFL) for x in stopping_signals() if main}
    try:
        yield
    finally:
        timer.cancel()
        for number, handler in before.items():
            if handler is not None:  # None: it was not set from Python.
                signal.signal(number, handler)


def exit_process(status: int) -> int:
    """Called last by a process that fails: returns `status` if there are no other processes, and
    otherwise exits at once, because a normal exit waits for all of them."""
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        if _heartbeat is not None:
            _heartbeat.stop(patience=2, failed=True)
        if is_primary():
            # JAX's coordinator is in this process; the others may still print their own errors.
            time.sleep(2)
        os._exit(status)
    return status


def is_peer_failure(error: Exception) -> bool:
    """Whether JAX raised `error` because another process has died (on the CPU; on accelerators JAX
    ends this process itself)."""
    return jax.distributed.is_initialized() and "Gloo" in str(error)


def mute_heartbeat() -> None:
    """For a process that reports itself why it ends: the heartbeat may be about to do so, too."""
    if _heartbeat is not None:
        _heartbeat.mute()


def is_primary() -> bool:
    """Whether this is process 0, the one that writes."""
    return jax.process_index() == 0


def log(text: str) -> None:
    """Prints in the primary process only."""
    if is_primary():
        print(text, flush=True)


def is_single_process() -> bool:
    """Whether this is the only process."""
    return jax.process_count() == 1


def all_max(number: int) -> int:
    """The maximum over all processes (int32); every process must call it."""
    return int(multihost_utils.process_allgather(np.int32(number)).max())


@contextlib.contextmanager
def synchronized() -> Iterator[None]:
    """Runs a block that differs between processes and waits for all of them at its end. Raises
    UserError if the block succeeded here but failed in another process."""
    failed = True
    try:
        yield
        failed = False
    finally:
        any_failed = all_max(failed)
    if any_failed:
        raise UserError("another process has failed", "its own output says why")


def check_same(what: str, text: str) -> None:
    """Raises UserError in every process unless `text` is the same in all of them."""
    checksum = zlib.crc32(text.encode()) >> 1
    if all_max(checksum) != -all_max(-checksum):
        raise UserError(f"{what} is not the same on every host", "start all with the same")


def broadcast_from_primary(tree: Any, target: Any) -> Any:
    """The primary process's tree of NumPy arrays, bit for bit; every process must call it, with a
    `target` of the same structure, shapes and dtypes (arrays or `ShapeDtypeStruct`s)."""
    if not is_primary():
        tree = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), target)
    # As bytes: JAX broadcasts by a sum, which would turn -0.0 into 0.0.
    as_bytes = jax.tree.map(lambda x: np.frombuffer(x.tobytes(), np.uint8), tree)
    return jax.tree.map(
        lambda x, y: np.frombuffer(np.asarray(x).tobytes(), y.dtype).reshape(y.shape),
        multihost_utils.broadcast_one_to_all(as_bytes),
        target,
    )
