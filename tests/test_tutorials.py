"""The commands in docs/tutorials/ name configs, words, keys and flags that exist, and runs that an
earlier command trains; no folder of theirs or of the README's holds two different runs."""

import re
import shlex

import pytest
from conftest import ROOT

from jaxgan.config import KEYS, parse_value, update
from jaxgan.config.files import from_file
from jaxgan.config.validation import validate
from jaxgan.main import default_workdir

TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))


def commands(text):
    """The commands in a page's code blocks, as lists of words."""
    for block in re.findall(r"^```\n(.*?)^```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] in ("./run.sh", "python", ".venv/bin/python"):
                yield words


def flags_of(words):
    """From name to value, in the order given."""
    named = [word.removeprefix("--").partition("=") for word in words if word.startswith("--")]
    return {name: value for name, _, value in named}


def check_config(flags):
    """Raises UserError if the config has an unknown word or key, or an impossible value."""
    name, _, arg = flags["config"].partition(":")
    keys = {flag.removeprefix("config."): flags[flag] for flag in flags if "config." in flag}
    assert keys.keys() <= KEYS.keys()
    values = {key: parse_value(key, text) for key, text in keys.items()}
    validate(update(from_file(ROOT / name, arg), values))


def test_every_family_has_a_tutorial():
    assert [path.stem for path in TUTORIALS] == ["cgan", "dcgan", "gan", "infogan"]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_commands_name_what_exists(path):
    found, trained = list(commands(path.read_text())), set()
    assert len(found) >= 5
    for words in found:
        flags = flags_of(words)
        if words[0] == "./run.sh":
            check_config(flags)
            trained.add(flags["workdir"])
            continue
        command = ROOT / (words[words.index("-m") + 1].replace(".", "/") + ".py")
        known = command.read_text() + (ROOT / "jaxgan/cli.py").read_text()
        for flag in flags:
            assert re.search(rf"""\(\s*"{flag}",""", known), f"{words}: --{flag}"
        assert flags["workdir"] in trained, f"{words}: no command above it trains this run"


def test_no_folder_is_trained_in_with_two_configs():
    """A reader who follows one page after another is never refused."""
    trained = {}
    for path in (ROOT / "README.md", *TUTORIALS):
        for words in commands(path.read_text()):
            trains = words[0] == "./run.sh" and all(word.startswith("--") for word in words[1:])
            if not trains:
                continue
            flags = flags_of(words)
            config = flags.pop("config", "configs/infogan.py")
            workdir = flags.pop("workdir", default_workdir(config))
            trained.setdefault(workdir, set()).add((config, *sorted(flags.items())))
    assert trained.keys() >= {"runs/infogan", "runs/cgan", "runs/gan"}
    assert {folder: found for folder, found in trained.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_keys_that_are_named_exist(path):
    found = re.findall(r"`(?:--config\.)?([a-z_.]+)=([\w.+:-]+)`", path.read_text())
    assert found
    for key, value in found:
        assert key in KEYS, key
        assert not KEYS[key].choices or value in KEYS[key].choices, f"{key}={value}"
