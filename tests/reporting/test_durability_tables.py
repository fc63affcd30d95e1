"""Tables of kind `durability` and figures of kind `survival`, from files of the rule."""

import numpy as np
import pandas as pd
import pytest
from reporting_examples import cell, lay_out, table, write_json

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.errors import UserError
from negmerge.evaluation.outcomes import Outcomes, write_outcomes
from negmerge.reporting.cells import cells
from negmerge.reporting.kinds import table_kind
from negmerge.reporting.records import MEAN
from negmerge.settings.study import load_study

N = 100
DONE = {"rounded": 90, "numbers": 120, "group_size": 16, "epochs": 1, "learning_rate": 0.001}
# Right answers of 100 on what is to be forgotten, and to be kept, under each treatment.
CLIP = {
    "pretrained": {"as_is": (80, 90), "int8": (80, 90), "int4": (70, 80), "relearned": (85, 88)},
    "negmerge": {"as_is": (20, 85), "int8": (20, 85), "int4": (40, 70), "relearned": (60, 80)},
}
NET = {
    "retrain": {"as_is": (60, 95), "int4": (60, 90), "relearned": (70, 95)},
    "original": {"as_is": (100, 100), "int4": (95, 98), "relearned": (100, 100)},
    "negmerge": {"as_is": (50, 96), "int4": (80, 90), "relearned": (90, 95)},
}
KINDS = {"pretrained": "base", "original": "base", "retrain": "retrain", "negmerge": "merge"}
ROWS = {"pretrained": "Pre-trained", "negmerge": "NegMerge"}
NET_ROWS = {"retrain": "Retrain", "original": "Original", "negmerge": "NegMerge"}


def write(folder, experiment, task, kept, models, **changes):
    """Write what the rule writes for each method, and give the paths back."""
    paths = []
    for method, counts in models.items():
        labels = {"experiment": experiment, "task": task, "method": method}
        is_chosen = method == "negmerge"
        record = labels | DONE | {"kind": KINDS[method], "searched": is_chosen, "keep": 0.95}
        record |= {"vector": "negmerge", "coefficient": 0.5} if is_chosen else {"vector": None}
        record |= {"criterion": kept if is_chosen else None, "unchanged": False}
        arrays = {}
        for treatment, right in counts.items():
            if right == DIVERGED:
                record |= {f"forget_{treatment}": None, f"{kept}_{treatment}": None}
                continue
            for role, correct in zip(("forget", kept), right, strict=True):
                record[f"{role}_{treatment}"] = {"correct": correct, "n": N}
                arrays[f"{role}_{treatment}"] = (np.arange(N) < correct).astype(np.uint8)
        record |= changes
        path = folder / f"{experiment}-{task}-{method}"
        paths += [write_json(path.with_suffix(".json"), [record])]
        paths += [path.with_suffix(".safetensors")]
        place = tuple(labels.values())
        write_outcomes(paths[-1], [Outcomes(place, {}, arrays, record["criterion"])])
    return paths


def of_files(paths, rows=ROWS, **column):
    shown = table(kind="durability", title="Does it last", rows=rows, column=column)
    return shown, cells(shown, table_kind("durability").read(paths), {})


def of_net(*paths):
    return of_files(paths, NET_ROWS, experiments=["net"], scenario="classifier")


@pytest.fixture
def net(tmp_path):
    return of_net(*write(tmp_path, "net", "trial1", "retain", NET))


def test_scores_stand_side_by_side_with_the_ratios(tmp_path):
    shown = lay_out(*of_files(write(tmp_path, "a", "digits", "control", CLIP)))
    texts = [heading.text for heading in shown.headings]
    assert texts[3:6] == ["forget, relearned", "control, as it is", "control, int8"]
    assert texts[8:] == ["lasting, int8", "lasting, int4", "choice"]
    (negmerge,) = [row for row in shown.rows if row[0] == "NegMerge"]
    assert negmerge[1:5] == ["20.00 ± 4.00", "20.00 ± 4.00", "40.00 ± 4.90", "60.00 ± 4.90"]
    assert negmerge[9].startswith("100.00 ± ")
    assert negmerge[10].startswith("50.00 ± ")
    assert negmerge[-1] == "0.50"


def test_the_ratio_of_relearning_compares_with_retrain(net):
    _, frame = net
    # Retrain gains 10 points, NegMerge 40, Original nothing.
    expected = {
        ("negmerge", "lasting_relearned"): 25,
        ("negmerge", "likeness_relearned"): 40,
        ("retrain", "lasting_relearned"): 100,
        ("negmerge", "lasting_int4"): 62.5,
        ("negmerge", "inverse_int4"): 100,
        ("negmerge", "likeness_int4"): 100 * (1 - 30 / 130),
        ("original", "lasting_int4"): 100,
    }
    found = {place: cell(frame, *place)["value"] for place in expected}
    assert found == pytest.approx(expected)
    assert pd.isna(cell(frame, "original", "lasting_relearned")["value"])


def test_the_error_of_a_ratio_is_that_of_items_drawn_anew(net):
    """Against a bootstrap with other draws; the same items for all models."""
    _, frame = net
    items = [np.arange(N) < NET[m][f"{t}"][0] for m in ("negmerge", "retrain")
             for t in ("as_is", "relearned")]  # fmt: skip
    generator, found = np.random.default_rng(11), []
    for _ in range(4000):
        drawn = generator.integers(N, size=N)
        before, after, never_before, never_after = (one[drawn].mean() for one in items)
        found.append(100 * min((never_after - never_before) / (after - before), 1))
    error = cell(frame, "negmerge", "lasting_relearned")["standard_error"]
    assert error == pytest.approx(np.std(found), rel=0.1)


def test_relearning_that_diverged_is_a_marked_cell_and_a_note(tmp_path):
    second = NET | {name: NET[name] | {"relearned": DIVERGED} for name in ("original", "negmerge")}
    shown, frame = of_net(
        *write(tmp_path, "net", "trial1", "retain", NET),
        *write(tmp_path, "net", "trial2", "retain", second),
    )
    for metric in ("forget_relearned", "retain_relearned", "lasting_relearned"):
        for task in (MEAN, "trial2"):
            assert pd.isna(cell(frame, "negmerge", metric, task)["value"])
        assert cell(frame, "negmerge", metric, "trial1")["value"] > 0
    assert cell(frame, "negmerge", "diverged_relearned")["value"] == 0.5
    layout = lay_out(shown, frame)
    (negmerge,) = [row for row in layout.rows if row[0] == "NegMerge"]
    assert negmerge.count(DIVERGED) == 2
    (note,) = [note for note in layout.notes if note.startswith("net/trial")]
    assert note.startswith("net/trial2: diverged when taught again")
    assert "Original and NegMerge" in note


def test_tables_and_figures_need_the_treatments(config, change_yaml):
    path = config / "studies" / "example.yaml"
    shown = {"kind": "durability", "title": "x", "rows": ["uniform", "negmerge"]}
    column = {"label": "both", "experiments": ["mini-clip"]}
    change_yaml(path, "tables/own", shown | {"columns": [column]})
    with pytest.raises(UserError, match=r"tables\.own\.columns\.both: 'mini-clip' has no `durab"):
        load_study(config, "example")
    both = {"kind": "survival", "title": "x", "methods": ["negmerge"]}
    both |= {"experiments": ["mini-clip", "mini-resnet"]}
    change_yaml(path, "experiments/mini-clip/durability", {"treatments": ["int8"]})
    change_yaml(path, "experiments/mini-resnet/durability", {"treatments": ["int4"]})
    change_yaml(path, "figures/own", both)
    with pytest.raises(UserError, match=r"figures\.own: 'mini-resnet' has another `durability`"):
        load_study(config, "example")
