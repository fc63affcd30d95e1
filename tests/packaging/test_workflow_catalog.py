"""What Snakemake's workflow catalogue looks for is there."""

import yaml
from workflow_text import ROOT


def test_the_catalogue_finds_the_workflow():
    # Its search asks for the two words; of a folder `workflow` it then asks for a Snakefile.
    words = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in words
    assert "workflow" in words
    assert (ROOT / "workflow" / "Snakefile").is_file()
    assert not (ROOT / "workflow" / "rules").exists()


def test_the_catalogue_shows_how_it_is_used():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True
    assert usage["report"] is True
    assert (ROOT / "config" / "README.md").read_text()


def test_an_older_snakemake_gets_to_the_line_that_names_the_version():
    # It cannot read a file with `pathvars`, which came with the one that is asked for.
    text = (ROOT / "Snakefile").read_text()
    assert text.index("min_version(") < text.index("include:")
    assert "pathvars:" not in text
    assert "pathvars:" in (ROOT / "rules" / "data.smk").read_text()
