"""Several hosts: one process on each, all running the same program on their own devices and their
own part of each batch. A process alone is the case of one: nothing here asks which it is.
"""

import contextlib
import logging
import os
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

# Seconds that a process waits for the others at the start: machines of a cluster boot unevenly.
_PATIENCE = 300


def initialize(coordinator: str = "", processes: int = 0, process: int = 0) -> None:
    """Joins this process with those of the other hosts; to be called before `start`.

    Args:
      coordinator: "host:port" of process 0. Empty is what JAX finds out about the cluster that it
        runs in (TPU pod, Slurm, Kubernetes, Open MPI); outside of one the process stays alone.
      processes: how many there are.
      process: the number of this one, from 0.

    Raises:
      UserError: if the coordinator's port is taken, or a cluster says too little about itself.
    """
    logging.getLogger("jax._src.distributed").setLevel(logging.WARNING)
    # The loop answers SIGTERM, on every host; JAX's own service would take the signal away.
    jax.config.update("jax_enable_preemption_service", False)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    given: dict[str, Any] = {}
    if coordinator:
        if process == 0:
            _refuse_taken(coordinator)
        # Nothing of a cluster's is asked where all is said.
        given = {
            "coordinator_address": coordinator,
            "num_processes": processes,
            "process_id": process,
            "cluster_detection_method": "deactivate",
        }
    try:
        with _patience(coordinator or "the cluster's first process"):
            # The processes meet once more before they end, so the last wait need not be long.
            jax.distributed.initialize(
                **given, initialization_timeout=2 * _PATIENCE, shutdown_timeout_seconds=30
            )
    except ValueError:
        # So JAX says that it knows of no cluster here.
        if coordinator:
            raise
    except RuntimeError as error:
        # A config that has asked JAX for its devices comes too early for a cluster; alone it may.
        if coordinator or "must be called before" not in str(error):
            raise UserError(
                f"the other processes cannot be joined: {str(error).splitlines()[0]}",
                "without them: --coordinator=localhost:5432 --processes=1 --process=0",
            ) from error


def _refuse_taken(coordinator: str) -> None:
    """JAX itself would crash."""
    port = int(coordinator.rpartition(":")[2])
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise UserError(
            f"--coordinator={coordinator}: port {port} cannot be opened ({why})",
            "name another on every host",
        ) from error


@contextlib.contextmanager
def _patience(whom: str) -> Iterator[None]:
    """Ends the process with a line if the block takes too long: JAX would end it with a page."""

    def end() -> None:
        print(
            f"jaxgan: {whom}: not all processes met within {_PATIENCE} s\n"
            "start the same command on every host, each with its own --process",
            file=sys.stderr,
            flush=True,
        )
        os._exit(2)

    timer = threading.Timer(_PATIENCE, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def exit_process(status: int) -> int:
    """The last call of a process that does not end as it should: hands the status on, where there
    are no others. Else it ends here and now, for at its usual end JAX waits for all."""
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        if is_primary():
            # It is the one that JAX watches the others from, and they may have a word to say.
            time.sleep(2)
        os._exit(status)
    return status


def is_peer_failure(error: Exception) -> bool:
    """Whether an error of JAX's comes from a process that is gone (on the CPU; elsewhere JAX ends
    the process by itself)."""
    return jax.distributed.is_initialized() and "Gloo" in str(error)


def is_primary() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def log(text: str) -> None:
    """Prints in the first process."""
    if is_primary():
        print(text, flush=True)


def is_single_process() -> bool:
    """Whether there is no other process."""
    return jax.process_count() == 1


def all_max(number: int) -> int:
    """The highest of all processes' numbers (int32); every process must call it."""
    return int(multihost_utils.process_allgather(np.int32(number)).max())


@contextlib.contextmanager
def synchronized() -> Iterator[None]:
    """A block in which processes may do different things; each waits at its end for all.

    Raises:
      UserError: in every process whose own block went well, if another's did not.
    """
    failed = True
    try:
        yield
        failed = False
    finally:
        other = all_max(failed)
    if other:
        raise UserError("another process has ended with a mistake", "its own output says which")


def check_same(what: str, text: str) -> None:
    """Raises UserError in every process unless `text` is the same in all."""
    here = zlib.crc32(text.encode()) >> 1
    if all_max(here) != -all_max(-here):
        raise UserError(f"{what} is not the same on every host", "start all with the same")


def broadcast_from_primary(tree: Any, like: Any) -> Any:
    """The first process's tree of NumPy arrays, bit for bit; every process must call it.

    Args:
      tree: the other processes' may be anything.
      like: a tree of the same structure, shapes and types, of arrays or `jax.ShapeDtypeStruct`s.
    """
    if not is_primary():
        tree = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    # As bytes: the sum that JAX broadcasts by would make -0.0 a 0.0.
    as_bytes = jax.tree.map(lambda x: np.frombuffer(x.tobytes(), np.uint8), tree)
    return jax.tree.map(
        lambda x, y: np.frombuffer(np.asarray(x).tobytes(), y.dtype).reshape(y.shape),
        multihost_utils.broadcast_one_to_all(as_bytes),
        like,
    )
