"""The devices that `--topology` names: TPUs that libtpu compiles for without owning one, fake CPU
devices, or those of this machine."""

import os
import re
from typing import Any

import jax

from jaxgan.common.errors import UserError

# Google Cloud's topologies, chips along each dimension, and a single chip for comparison.
_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = ("1x1x1", "2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8")
KNOWN = {"v5e": _FLAT, "v6e": _FLAT, "v4": _CUBES, "v5p": _CUBES, "tpu7x": _CUBES}
# Chips that share one host, where they are not 2x2.
_ONE_HOST = {"1x1": (1, 1, 1), "2x4": (2, 4, 1), "1x1x1": (1, 1, 1)}
# Otherwise libtpu asks the cloud's metadata server, and probes for chips of this machine.
_NO_TPU_HERE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


def check(topology: str) -> None:
    """Raises UserError if `topology` is unknown; nothing of JAX is started."""
    kind, _, size = topology.partition(":")
    fake = kind == "cpu" and re.fullmatch(r"[1-9]\d{0,2}", size)
    if topology and not fake and size not in KNOWN.get(kind, ()):
        known = "\n".join(f"{name}: {', '.join(sizes)}" for name, sizes in KNOWN.items())
        remedy = f"cpu:N for N fake CPU devices, none for this machine's, or one of\n{known}"
        raise UserError(f"--topology={topology}: unknown", remedy)


def prepare(topology: str) -> None:
    """Sets what JAX reads from the environment when it starts; call it before JAX's first use."""
    kind, _, size = topology.partition(":")
    if kind == "cpu":
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={size}".strip()
    if kind in KNOWN or kind == "cpu":
        jax.config.update("jax_platforms", "cpu")
    if kind in KNOWN:  # Programs compiled for absent devices cannot be deserialized.
        jax.config.update("jax_enable_compilation_cache", False)


def devices(topology: str) -> list[Any]:
    """The devices of a topology that `check` accepts.

    Raises:
      UserError: if it is one of TPUs and libtpu is not installed.
    """
    kind, _, size = topology.partition(":")
    if kind not in KNOWN:
        return jax.devices()
    from jax.experimental import topologies

    os.environ.update({name: os.environ.get(name, x) for name, x in _NO_TPU_HERE.items()})
    options: dict[str, Any] = {"chip_config_name": "megacore"} if kind == "v4" else {}
    if size in _ONE_HOST:
        options["chips_per_host_bounds"] = _ONE_HOST[size]
    try:
        described = topologies.get_topology_desc(f"{kind}:{size}", "tpu", **options)
    except (RuntimeError, ImportError) as error:
        what = f"--topology={topology}: libtpu cannot describe it: {str(error).splitlines()[0]}"
        raise UserError(what, "pip install 'jaxgan[tpu-plan]' installs libtpu") from error
    return list(described.devices)


def one_device(topology: str) -> str:
    """The topology of a single device of the same kind; "" if there is none."""
    kind = topology.partition(":")[0]
    return f"{kind}:{KNOWN[kind][0]}" if kind in KNOWN else ""
