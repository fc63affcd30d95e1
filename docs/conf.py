"""How `make docs` makes a site of the pages, where they lie. CONTRIBUTING.md says why by Sphinx."""

import posixpath
import re
from pathlib import Path

import numpy.typing
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

import negmerge

# Types that the reference shows by this name, not by the dozen that it stands for.
numpy.typing.ArrayLike = type("ArrayLike", (), {})

project = "NegMerge"
author = "The NegMerge workflow developers"
version = release = negmerge.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/dev/*.md",
    "config/**.md",
    "profiles/*.md",
    "resources/**.md",
    "results/README.md",
    "tests/golden/*.md",
]
# Folders that are large, or links to such.
exclude_patterns = [".*", "build", "data", "results/[!R]*"]

# The headings that links may name, by GitHub's rule.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
# Docstrings mark code with single backticks.
default_role = "code"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 80

html_theme = "furo"
html_title = "NegMerge as a workflow"
# index.html leads to the start page, which is README.html.
html_extra_path = ["site/index.html"]
html_static_path = ["site/site.css"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False


def order_pages(app: Sphinx, name: str, content: list[str]) -> None:
    """Hang the pages into the sidebar in the order in which docs/README.md lists them.

    Args:
        app: Sphinx.
        name: a page.
        content: its text, as the only item; the start page gets the order.
    """
    if name == "docs/README":
        # The sidebar is this page, so it is not in it.
        content[0] = f"---\norphan: true\n---\n{content[0]}"
    if name != root_doc:
        return
    contents = Path(app.srcdir, "docs", "README.md").read_text()
    for caption, part in re.findall(r"^## (.+)\n((?:(?!## ).*\n)+)", contents, re.M):
        links = re.findall(r"\]\(([^)#]+)\.md\)", part)
        pages = "\n".join(posixpath.normpath(f"/docs/{link}") for link in links)
        content[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def write_formula(translator, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers draw themselves."""
    block = isinstance(node, nodes.math_block)
    drawn = tex2mathml(node.astext(), as_block=block)
    translator.body.append(f'<div class="formula">{drawn}</div>' if block else drawn)
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Tell Sphinx of the functions above."""
    app.connect("source-read", order_pages)
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
