"""Config files: those on disk, and those that come with jaxgan."""

import os
import runpy
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxgan.common.errors import UserError
from jaxgan.config.keys import KEYS
from jaxgan.config.presets import nearest, update
from jaxgan.config.validation import check_value, validate

FOLDER = "configs"


def named(argument: str, values: Mapping[str, Any] | None = None) -> ConfigDict:
    """Returns the config that --config=ARGUMENT names, with some of its keys changed.

    Args:
      argument: such as "infogan", "infogan:mnist" or "configs/infogan.py:mnist".
      values: the keys to change, such as {"steps": 500, "generator.learning_rate": 1e-3}.

    Raises:
      UserError: if there is no such config, word or key, or a value is refused.
    """
    name, _, arg = argument.partition(":")
    path = locate(name)
    if not os.path.isfile(path):
        raise UserError(f"{argument}: no file {path}; there are: {', '.join(known_names())}")
    config = update(_load(path, arg), dict(map(_checked, (values or {}).items())))
    validate(config)
    return config


def from_file(path: str | os.PathLike[str], arg: str = "") -> ConfigDict:
    """Calls `get_config(arg)` of a config file, and validates the result; raises UserError."""
    config = _load(path, arg)
    validate(config)
    return config


def _load(path: str | os.PathLike[str], arg: str) -> ConfigDict:
    """The config of a file, not validated: it may lack a key that is set later."""
    config: ConfigDict = runpy.run_path(os.fspath(path))["get_config"](arg)
    return config


def _checked(item: tuple[str, Any]) -> tuple[str, Any]:
    """A key and its value, a NumPy number as Python's; UserError for an unknown key or a value of
    another type."""
    path, value = item
    if path not in KEYS:
        raise UserError(f"config: unknown key {path}", nearest(path))
    value = value.item() if hasattr(value, "item") else value
    check_value(path, value, KEYS[path])
    return path, value


def locate(name: str) -> str:
    """The path of the config file that a user names.

    A plain name such as infogan is short for configs/infogan.py. A file on disk comes first; one of
    configs/ that is not there may be among those that come with jaxgan.

    Args:
      name: a file, or a plain name; without ":ARG".

    Returns:
      The path, which does not exist if there is no such config.
    """
    if os.path.isfile(name):
        return name
    plain = not os.path.dirname(name) and not os.path.splitext(name)[1]
    path = os.path.join(FOLDER, f"{name}.py") if plain else name
    if not os.path.isfile(path):
        folder, file = os.path.split(os.path.normpath(path))
        packaged = os.path.join(packaged_folder(), file)
        if folder == FOLDER and os.path.isfile(packaged):
            return packaged
    return path


def known_names() -> list[str]:
    """The plain names that `locate` finds from the current folder."""
    folders = filter(os.path.isdir, (FOLDER, packaged_folder()))
    files = {file for folder in folders for file in os.listdir(folder)}
    return sorted(file.removesuffix(".py") for file in files if file.endswith(".py"))


def packaged_folder() -> str:
    """The folder of the configs that come with jaxgan: a wheel has them inside of the package, a
    source tree beside it."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    inside = os.path.join(package, FOLDER)
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), FOLDER)
