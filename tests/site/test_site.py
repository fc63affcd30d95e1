"""The site that `make docs` builds: complete, in one order, whole without the internet."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import negmerge
from negmerge import data, evaluation, merging, plugins, selection, unlearning

ROOT = plugins.PACKAGE.parents[2]
LINK = re.compile(r"\]\(([^)#]+)\.md\)")
# What a page loads: scripts, styles, images and fonts, but not where its links lead.
LOADED = re.compile(
    r"<(?:script|img|source|iframe)\b[^>]*\bsrc=\"([^\"]+)|<link\b[^>]*\bhref=\"([^\"]+)"
)


def make_docs(folder: Path, site: Path) -> subprocess.CompletedProcess:
    """Build the site of a folder with this Python's Sphinx and this library."""
    words = [f"BIN={Path(sys.executable).parent}", f"SITE={site}", "docs"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--old-file", ".venv/.ready", *words],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(plugins.PACKAGE.parent)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The project's site."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = make_docs(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_stand_in_the_order_of_their_list_and_each_once(site):
    listed = LINK.findall((ROOT / "docs" / "README.md").read_text())[1:]
    wanted = [os.path.normpath(f"docs/{name}.html") for name in listed]
    text = (site / "README.html").read_text()
    sidebar = re.findall(r'<li class="toctree-l1[^"]*"><a [^>]*href="([^"#]+)"', text)
    assert sidebar == wanted
    assert len(set(wanted)) == len(wanted)
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    made = {"index.html", "README.html", "docs/README.html", "search.html", "genindex.html"}
    assert pages - made == set(wanted)


def test_nothing_comes_from_outside(site):
    for page in site.rglob("*.html"):
        loaded = [one or other for one, other in LOADED.findall(page.read_text())]
        assert len(loaded) > 3 or page.name == "index.html", page
        for address in loaded:
            assert "//" not in address, f"{page}: {address}"
            place = page.parent / address.partition("?")[0].partition("#")[0]
            assert place.exists(), f"{page}: {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text()), style


def test_the_reference_has_every_public_function(site):
    modules = (negmerge, merging, selection, evaluation, unlearning, data)
    public = {
        f"{module.__name__}.{name}"
        for module in modules
        for name in module.__all__
        if inspect.isfunction(getattr(module, name))
    } - {"negmerge.merging.merge"}  # it stands at the top
    public |= {f"{module.__name__}.METHODS" for module in (merging, unlearning)}
    page = (site / "docs" / "functions.html").read_text()
    assert set(re.findall(r'<dt [^>]*\bid="([\w.]+)"', page)) >= public
    assert "base - coefficient * merged vector" in page


@pytest.fixture
def pages(tmp_path) -> Path:
    """A folder with a small site, which can be built."""
    folder = tmp_path / "pages"
    shutil.copytree(ROOT / "docs" / "site", folder / "docs" / "site")
    shutil.copy(ROOT / "docs" / "conf.py", folder / "docs")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "README.md").write_text("# Start\n\n[All](docs/README.md)\n")
    (folder / "docs" / "README.md").write_text("# Pages\n\n## First\n\n- [One](one.md)\n")
    (folder / "docs" / "one.md").write_text("# One\n\n## A part\n\n[Here](#a-part), $a^2$\n")
    return folder


def test_what_leads_nowhere_fails_the_build(pages, tmp_path):
    assert make_docs(pages, tmp_path / "whole").returncode == 0
    (pages / "docs" / "one.md").write_text("# One\n\n[Two](two.md)\n\n[Part](#part)\n")
    (pages / "README.md").write_text("# Start\n\n[Part](docs/one.md#part)\n")
    (pages / "docs" / "more.md").write_text("# More\n")
    (pages / "docs" / "README.md").write_text(
        "# Pages\n\n## First\n\n- [One](one.md)\n- [No](no.md)\n"
    )
    done = make_docs(pages, tmp_path / "site")
    assert done.returncode != 0
    for message in (
        "one.md:3: .*target not found: 'two.md'",
        "one.md:5: .*target not found: 'part'",
        "README.md:3: .*'part'",
        "more.md: .*isn't included in any toctree",
        "nonexist.*'docs/no'",
    ):
        assert re.search(message, done.stderr), done.stderr
