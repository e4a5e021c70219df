"""The base config, and changing it: by paths, by a config file's ARG, and on resuming a run."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxgan.common.errors import UserError
from jaxgan.config.keys import KEYS

# Short forms of keys in ARG.
ALIASES = {"classes": "dataset.classes", "size": "dataset.size", "dataset": "dataset.name"}


def base() -> ConfigDict:
    """Returns a config with every key at its default."""
    return update(ConfigDict(), {path: key.default for path, key in KEYS.items()})


def get(config: ConfigDict, path: str) -> Any:
    """Returns config.a.b for the path "a.b"."""
    for name in path.split("."):
        config = config[name]
    return config


def leaves(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every (path, value) of a config."""
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def update(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """Returns a copy of the config with paths set to values."""
    config = copy.deepcopy(config)
    # ConfigDict.update_from_flattened_dict does not create missing groups.
    for path, value in values.items():
        *groups, name = path.split(".")
        group = config
        for part in groups:
            if part not in group:
                group[part] = ConfigDict()
            group = group[part]
        group[name] = value
    return config


def apply_argument(
    config: ConfigDict,
    arg: str,
    words: Mapping[str, Mapping[str, Any]],
    exclusive: Sequence[Sequence[str]] = (),
) -> ConfigDict:
    """Returns a copy of a config with its file's ARG applied: comma-separated known words and
    key=value.

    Words are applied in the order of `words`, not in the order in which they were typed; then the
    key=value parts.

    Args:
      config: the config without ARG.
      arg: such as "mnist,document" or "paper,width=0.5".
      words: paths and values that each known word sets; an entry "a,b" applies if both are given.
      exclusive: groups of words, of each of which at most one may be given.

    Raises:
      UserError: for an unknown word or key, words that exclude one another, or a value of the wrong
        type.
    """
    parts = [part.strip() for part in arg.split(",") if part.strip()]
    given = [part for part in parts if "=" not in part or part in words]
    for either in exclusive:
        both = [word for word in given if word in either]
        if len(both) > 1:
            raise UserError(f"ARG '{arg}': {' and '.join(both)} exclude one another")
    for word in given:
        if word not in words:
            raise UserError(
                f"ARG '{arg}': unknown word '{word}'",
                f"known: {', '.join(w for w in words if ',' not in w)}; or key=value with a key of"
                " the config",
            )
    for word, values in words.items():
        if set(word.split(",")) <= set(given):
            config = update(config, values)
    for part in parts:
        if "=" in part and part not in words:
            path, _, text = part.partition("=")
            path = ALIASES.get(path, path)
            if path not in KEYS:
                raise UserError(f"ARG '{arg}': no key '{path}'", nearest(path))
            config = update(config, {path: parse_value(path, text)})
    return config


def nearest(path: str) -> str:
    """Returns a hint with the keys most like `path`; "lr" matches learning_rate by its initials."""
    import difflib

    group, _, name = path.rpartition(".")
    exact = [key for key in KEYS if key.startswith(group) and name in _names(key)]
    close = exact or difflib.get_close_matches(path, KEYS, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else "docs/reference.md lists the keys"


def _names(path: str) -> tuple[str, ...]:
    """The last part of a key, and the initials of its words if it has several."""
    name = path.rpartition(".")[2]
    initials = "".join(word[0] for word in name.split("_"))
    return (name, initials) if len(initials) > 1 else (name,)


def parse_value(path: str, text: str) -> Any:
    """Converts the text of key=value to the type of the key's default; raises UserError."""
    default = KEYS[path].default
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        return type(default)(text)
    except (KeyError, ValueError):
        raise wrong_type(path, text) from None


def wrong_type(path: str, text: str) -> UserError:
    """Returns the error for a text that does not have the type of the key's default."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number"}
    return UserError(f"{path}={text}: not {kinds[type(KEYS[path].default)]}")


def changed_keys(config: ConfigDict, saved: Mapping[str, Any]) -> list[str]:
    """The keys that may not change but differ from `saved` (path -> value), each with both
    values."""
    now = dict(leaves(config))
    # A run saved before a key existed used that key's default.
    saved = {path: key.default for path, key in KEYS.items()} | dict(saved)
    return [
        f"{path} (was {saved.get(path)!r}, now {now.get(path)!r})"
        for path in sorted(now.keys() | saved.keys())
        if now.get(path) != saved.get(path) and not (path in KEYS and KEYS[path].may_change)
    ]


def refuse_changes(config: ConfigDict, saved: Mapping[str, Any], workdir: str) -> None:
    """Checks that a run is resumed with its own config, except for keys that may change.

    Args:
      config: config of this start.
      saved: path -> value of the run's first start.
      workdir: the run's folder, for the message.

    Raises:
      UserError: naming the first five keys that differ, with both values.
    """
    changes = changed_keys(config, saved)
    if changes:
        rest = len(changes) - 5
        shown = changes[:5] + ([f"and {rest} more"] if rest > 0 else [])
        raise UserError(
            f"{workdir} holds a run with another config: {'; '.join(shown)}",
            "give another --workdir, or the same keys",
        )
