"""Commands as forks of one process that has imported what they import: the imports of a
`python -m jaxgan.main` take longer than its short run.

Each fork has its own arguments, environment, working directory and output, and its own JAX. But
what is read when Python starts or JAX is imported (PYTHONUTF8, JAX_PLATFORMS, JAX_ENABLE_X64) is
the server's. What the start of a process itself does is tested with `conftest.run_python`."""

import atexit
import functools
import multiprocessing
import multiprocessing.forkserver
import os
import pathlib
import runpy
import sys
from collections.abc import Mapping, Sequence

import pytest

TESTS = pathlib.Path(__file__).resolve().parent


@functools.cache
def _server():
    """The process that is forked. Up to Python 3.12 it looks for its imports on PYTHONPATH only."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["imports_of_commands", __name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (TESTS.parent, TESTS))))
        multiprocessing.forkserver.ensure_running()
    return context


def start(
    module: str,
    arguments: Sequence[str],
    cwd: pathlib.Path,
    environment: Mapping[str, str],
    stdout: pathlib.Path,
    stderr: pathlib.Path,
) -> multiprocessing.process.BaseProcess:
    """Starts `python -m MODULE ARGUMENTS` in a fork, with its output in two files, or in one."""
    given = (module, [*arguments], str(cwd), dict(environment), str(stdout), str(stderr))
    process = _server().Process(target=_run, args=given)
    process.start()
    return process


def _run(module, arguments, cwd, environment, stdout, stderr):
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path.insert(0, cwd)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        # multiprocessing ends its processes without them.
        atexit._run_exitfuncs()
