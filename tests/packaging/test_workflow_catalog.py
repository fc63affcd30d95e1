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
