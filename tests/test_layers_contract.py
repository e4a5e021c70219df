"""The order of the packages, as pyproject.toml has it."""

from conftest import ROOT
from importlinter.cli import lint_imports


def test_packages_import_only_from_those_below_them(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == 0
