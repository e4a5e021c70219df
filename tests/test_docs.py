"""What the README and docs/ show is run, and lists what there is."""

import re
import tomllib

import pytest
import yaml
from conftest import ROOT, run_forked

from jaxgan.common.version import VERSION
from jaxgan.evaluation.registry import METRICS, OF_SEEDS


def python_blocks(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.S)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("README.md", "runs/first/results.json"),
        ("docs/extending.md", "runs/hinge/results.json"),
    ],
)
def test_examples_run(tmp_path, name, left):
    blocks = python_blocks(name)
    assert max(len(block.splitlines()) for block in blocks) < 40
    (tmp_path / "shown.py").write_text("\n".join(blocks))
    done = run_forked("shown", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / left).exists()


def test_reference_lists_every_metric_with_its_better_direction():
    rows = re.findall(
        r"^\| (`.*?) \| (higher|lower|near .*?) \|", (ROOT / "docs/reference.md").read_text(), re.M
    )
    listed = {name: better for names, better in rows for name in re.findall(r"`(\w+)", names)}
    every = [OF_SEEDS, *(metric.names for metric in METRICS)]
    known = {name: better.value for names in every for name, better in names.items()}
    # `factor_r2_FACTOR` is listed with its variants only.
    listed = {re.sub(r"_(FACTOR)?$", "", name): better for name, better in listed.items()}
    assert listed == known


def test_readme_shows_every_package():
    text = (ROOT / "README.md").read_text()
    packages = [path.parent.name for path in (ROOT / "jaxgan").glob("*/__init__.py")]
    assert packages
    for name in packages:
        assert f"`jaxgan/{name}/`" in text, name
    assert len(text.splitlines()) <= 250


# --- Links


def markdown_pages():
    found = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    for folder in ("docs", "experiments"):
        found += sorted(
            path for path in (ROOT / folder).rglob("*.md") if "_build" not in path.parts
        )
    return found


def without_blocks(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(page):
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_and_pictures_exist():
    pages, links = markdown_pages(), 0
    for page in pages:
        text = re.sub(r"`[^`\n]*`", "", without_blocks(page.read_text()))
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"\w+:", link):
                continue
            name, _, anchor = link.partition("#")
            path = (page.parent / name).resolve() if name else page
            where = f"{page.relative_to(ROOT)}: {link}"
            assert path.exists(), where
            assert ROOT in path.parents, where
            assert not anchor or anchor in anchors(path), where
            links += 1
    assert len(pages) > 30
    assert links > 100


def test_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (VERSION, project["license"])
