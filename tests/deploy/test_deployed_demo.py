"""Table 1 of the demo, made where snakedeploy has put the workflow, beside that of a clone."""

import os

TABLE = "results/demo/tables/table1.md"


def test_all_that_table_1_is_made_from_has_the_bytes_of_a_clone(hub, checkout, tmp_path):
    clone, deployed = checkout.copy(tmp_path / "clone"), hub.deploy(tmp_path / "deployed")
    for folder in (clone, deployed):
        run = folder.snakemake("--cores", str(os.cpu_count()), "--", TABLE)
        assert run.returncode == 0, run.stdout + run.stderr
    found, expected = deployed.artefacts("demo"), clone.artefacts("demo")
    assert "tables/table1.csv" in found
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
