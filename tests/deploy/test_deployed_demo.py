"""Table 1 of the demo, made where snakedeploy has put the workflow, beside that of a clone."""

import os

from tiny_study import ROOT, Checkout

TABLE = "results/demo/tables/table1.md"


def make(folder: Checkout) -> dict[str, bytes]:
    """Make the table and all that it needs, and read them."""
    run = folder.snakemake("--cores", str(os.cpu_count()), "--", TABLE)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder.artefacts("demo")


def test_all_that_table_1_is_made_from_has_the_bytes_of_a_clone(hub, checkout, tmp_path):
    # The clone of these tests, if its table is there and nothing has changed since.
    here = Checkout(ROOT)
    clone = checkout.copy(tmp_path / "clone") if here.planned(TABLE) else here
    expected, found = make(clone), make(hub.deploy(tmp_path / "deployed"))
    assert "tables/table1.csv" in found
    assert found.keys() <= expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
