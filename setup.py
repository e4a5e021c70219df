"""Puts configs/ into the package, as jaxgan/configs; all else is in pyproject.toml.

There, a package that lies elsewhere would need the list of all packages.
"""

from setuptools import find_namespace_packages, setup

setup(
    packages=[*find_namespace_packages(include=["jaxgan*"]), "jaxgan.configs"],
    package_dir={"jaxgan.configs": "configs"},
)
