"""The workflow in a folder of somebody's own: by snakedeploy, by `module`, and with --directory."""

import sys

import pytest
import yaml

from deployed_workflow import module

TAG = 'tag="v1"'
IMAGES = "data/tiny-fashion/images.safetensors"
TABLE = "results/tiny/tables/sparsity"
MINE = """
extends: tiny
title: Of my own
experiments: {clip: {pool: {grid: {m: [1, 2, 10]}}}}
"""


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="snakedeploy needs an older Python")
def test_snakedeploy_fills_an_empty_folder_in_which_a_study_runs(hub, checkout, finished, tmp_path):
    deployed = hub.deploy(tmp_path / "deployed")
    target = "results/demo/report.html"
    assert deployed.planned(target) == checkout.planned(target)
    run = deployed.snakemake("--cores", "2", "--", f"{TABLE}.md", IMAGES)
    assert run.returncode == 0, run.stdout + run.stderr
    made = sorted((deployed.folder / "results/tiny").rglob("*.safetensors"))
    places = [path.relative_to(deployed.folder) for path in made]
    assert {"base", "m1", "m10", "negmerge"} <= {place.stem for place in places}
    for place in [*places, IMAGES, f"{TABLE}.md", f"{TABLE}.csv", f"{TABLE}.tex"]:
        assert (deployed.folder / place).read_bytes() == (finished.folder / place).read_bytes()


def test_two_modules_with_two_studies_stand_side_by_side(hub, checkout, finished, tmp_path):
    both = hub.imported(
        tmp_path / "both",
        module("first", TAG, 'config: {"study": "tiny"}', 'prefix: "one"'),
        module("second", TAG, 'config: {"study": "demo", "data": "sets"}', 'prefix: "two"'),
        "rule all:\n    default_target: True\n"
        "    input: rules.first_all.input, rules.second_all.input",
    )
    planned = [checkout.planned(f"results/{name}/report.html") for name in ("tiny", "demo")]
    assert both.planned() == set.union(*planned)
    run = both.snakemake("--cores", "1", "--", f"one/{IMAGES}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert (both.folder / "one" / IMAGES).read_bytes() == (finished.folder / IMAGES).read_bytes()


def test_settings_in_the_working_folder_go_before_the_shipped_ones(hub, checkout, tmp_path):
    own = hub.imported(tmp_path / "own", module("negmerge", 'branch="main"'))
    for name, text in {
        "config/config.yaml": "study: mine",
        "config/studies/mine.yaml": MINE,
        "config/models.yaml": yaml.safe_dump({"tiny-clip": {"title": "?"}}),
    }.items():
        (own.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (own.folder / name).write_text(text)
    run = own.snakemake("--dry-run")
    assert "config/models.yaml: the key tiny-clip.weights is missing" in run.stderr
    (own.folder / "config/models.yaml").unlink()
    assert "finetune: clip, digits, m2" in own.planned()
    shipped = "results/tiny/report.html"
    assert own.planned(shipped) == checkout.planned(shipped)
