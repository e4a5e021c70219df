"""The site, built by `./run.sh docs`: the Markdown pages of the repository where they lie, and the
API from the docstrings. The source folder is the repository's root, so that a link between pages
works in the site and in the repository."""

import functools
import inspect
import pathlib
import re
from importlib import metadata

import flax.linen as nn
from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml

project = "jaxgan"
author = "The jaxgan authors"
copyright = author
release = metadata.version("jaxgan")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/api/*.rst",
    "docs/tutorials/*.md",
    "experiments/*.md",
    "experiments/*/*.md",
]
exclude_patterns = [".git", ".venv", "docs/_build", "runs"]

# What the sidebar shows below the front page, which is the README. The lists of pages are here and
# not in the pages, which are also read as plain Markdown.
SECTIONS = {
    "README": [
        ("Tutorials", [f"docs/tutorials/{name}" for name in ("gan", "dcgan", "cgan", "infogan")]),
        (
            "Guides",
            [f"docs/{name}" for name in ("reference", "extending", "devices", "architecture")],
        ),
        ("Results", ["docs/results", "experiments/README"]),
        ("API", ["docs/api/index"]),
        ("Project", ["CONTRIBUTING", "CHANGELOG"]),
    ],
    "experiments/README": [("", ["experiments/*/README"])],
}
for _table in (pathlib.Path(__file__).parents[1] / "experiments").glob("*/table.md"):
    _study = f"experiments/{_table.parent.name}"
    SECTIONS[f"{_study}/README"] = [("", [f"{_study}/table"])]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # Links such as reference.md#keys, with GitHub's slugs.

# Docstrings are Google style and have Markdown's `code`.
default_role = "literal"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
python_maximum_signature_line_length = 80

smartquotes_action = "D"  # Dashes only: a prime stays a prime.
highlight_language = "none"

html_theme = "furo"
html_title = "jaxgan"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_extra"]  # The front page is README.html; this leads there.
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"


def add_table_of_contents(app, docname, content):
    """Appends the hidden tables of contents that SECTIONS lists for a page."""
    for caption, pages in SECTIONS.get(docname, ()):
        options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
        if any("*" in page for page in pages):
            options.append(":glob:")
        lines = ["", "", "```{toctree}", *options, "", *(f"/{page}" for page in pages), "```", ""]
        content[0] += "\n".join(lines)


# What reStructuredText would read as a substitution, emphasis or a reference.
SPECIAL = r"([|*]|(?<=\w)_(?!\w))"


def write_docstring_as_rst(app, what, name, obj, options, lines):
    """Docstrings are plain text: their indented blocks are tables and formulas, whose spaces count,
    and outside `code` the characters |, * and a final _ are themselves."""
    found, before, literal = [], 0, None
    for i, line in enumerate(lines):
        indentation = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indentation < literal:
            literal = None
        if literal is None and i and not lines[i - 1].strip() and indentation >= before + 4:
            literal = indentation
            found += [" " * before + "::", ""]
        if literal is None:
            # "a, b: …" among the arguments; Sphinx would take "a," for the type of b.
            names = re.match(r"\s+\w+(, \w+)+: ", line)
            line = line if names is None else names[0].replace(", ", ",") + line[names.end() :]
            parts = re.split("(`[^`]*`)", line)
            parts[::2] = [
                re.sub(
                    r"(?<![\w-])--\w(?:[^\s,;)]|,(?=\w))*",
                    r"``\g<0>``",
                    re.sub(SPECIAL, r"\\\1", part),
                )
                for part in parts[::2]
            ]
            line = "".join(parts)
            before = indentation if line.strip() else before
        found.append(line)
    lines[:] = found


def hide_linen_signature(app, what, name, obj, options, signature, return_annotation):
    """Leaves out the fields of a Linen module, most of which all networks share."""
    if what == "class" and issubclass(obj, nn.Module):
        return "", None
    return signature, return_annotation


def skip_fields(app, what, name, obj, skip, options):
    """Leaves out the fields of a class, which its docstring explains, and not its methods."""
    if what != "class":
        return None
    method = inspect.isfunction(obj) and obj.__module__.startswith("jaxgan.")
    return None if method or isinstance(obj, (property, functools.cached_property)) else True


def write_mathml(as_block):
    """A node's visitor that writes its LaTeX as MathML, for which the page needs no script."""

    def visit(translator, node):
        # MathML has no space between a function and its argument, and GitHub reads "\\," as ",".
        tex = re.sub(r"(\\(?:log|max_D)) ", r"\1\\,", node.astext())
        try:
            mathml = tex2mathml(tex, as_block=as_block)
        except MathError as error:
            raise ValueError(f"{node.source}: {error}: {node.astext()}") from error
        translator.body.append(f'<div class="math">{mathml}</div>' if as_block else mathml)
        raise nodes.SkipNode

    return visit


def setup(app):
    """Sphinx calls it with its application."""
    app.add_html_math_renderer("mathml", (write_mathml(False), None), (write_mathml(True), None))
    app.connect("source-read", add_table_of_contents)
    # Before napoleon, whose priority is 500: what it writes is reStructuredText already.
    app.connect("autodoc-process-docstring", write_docstring_as_rst, priority=400)
    app.connect("autodoc-process-signature", hide_linen_signature)
    app.connect("autodoc-skip-member", skip_fields)
