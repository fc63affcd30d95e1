"""A study that extends another is read as if it were written in full."""

import copy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from negmerge.cli import main
from negmerge.settings.load import _merge
from negmerge.settings.study import load_study
from refusals import refused

CLIP = {"label": "x", "experiments": ["mini-clip"]}


@pytest.fixture
def load(config):
    """A function that writes studies, the last of which is read."""

    def load(**studies):
        for name, content in studies.items():
            (config / "studies" / f"{name}.yaml").write_text(yaml.safe_dump(content))
        return load_study(config, list(studies)[-1])

    return load


@pytest.fixture
def example(config):
    return load_study(config, "example")


def test_mappings_are_merged_and_the_rest_replaced(load, example):
    mine = load(
        mine={
            "extends": "example",
            "title": "mine",
            "experiments": {
                "mini-clip": {
                    "finetune": {"epochs": 9, "augmentation": {"flip": 0.5}, "max_grad_norm": None},
                    "pool": {"grid": {"m": [7]}},
                },
                "mini-resnet": {"relearn": None},
            },
            "tables": {"table3": {"rows": ["negmerge"]}},
        }
    )
    theirs, ours = example.experiments["mini-clip"], mine.experiments["mini-clip"]
    assert mine.title == "mine"
    assert (ours.finetune.epochs, ours.finetune.max_grad_norm) == (9, None)
    assert ours.finetune.augmentation.flip == 0.5
    assert ours.finetune.augmentation.crop_scale == theirs.finetune.augmentation.crop_scale
    assert list(ours.pool.changes) == ["m7-n1", "m7-n3"]
    assert (ours.methods, ours.pretrain) == (theirs.methods, theirs.pretrain)
    assert mine.experiments["mini-resnet"].relearn is None
    assert mine.tables["table3"].rows == ["negmerge"]
    assert mine.tables["table3"].columns == example.tables["table3"].columns


def test_null_takes_a_name_away_and_a_star_all_of_them(load, example):
    mine = load(
        mine={
            "extends": "example",
            "experiments": {
                "mini-clip": {"pool": {"*": None, "points": {"one": {}}}},
                "mini-resnet": {
                    "methods": {
                        "negmerge-8": None,
                        "finetune": {"epochs": None},
                        "gradient-ascent": {"grid": None},
                    }
                },
            },
            "tables": {"*": None, "own": {"kind": "accuracy", "title": "x", "rows": ["uniform"],
                                          "columns": [CLIP]}},
            "figures": {"gap": None},
        }
    )  # fmt: skip
    assert list(mine.experiments["mini-clip"].pool.changes) == ["one"]
    methods = example.experiments["mini-resnet"].methods.keys() - {"negmerge-8"}
    found = mine.experiments["mini-resnet"].methods
    assert found.keys() == methods
    assert found["finetune"].options == {}
    assert (found["gradient-ascent"].grid, found["gradient-ascent"].options) == ({}, {"epochs": 3})
    assert list(mine.tables) == ["own"]
    assert mine.figures.keys() == example.figures.keys() - {"gap"}


def test_only_what_is_taken_is_there_and_others_stand_in(load):
    mine = load(
        mine={
            "extends": "example",
            "take": {"experiments": ["mini-clip"], "tables": ["table1"], "figures": ["figure1b"]},
            "replace": {"digits": "letters"},
            "experiments": {"mini-clip": {"tasks": ["letters"]}},
        }
    )
    assert (list(mine.experiments), list(mine.tables)) == (["mini-clip"], ["table1"])
    assert list(mine.figures) == ["figure1b"]
    columns = mine.tables["table1"].columns
    assert [column.tasks for column in columns] == [[], ["letters"], ["letters"]]


def test_methods_that_are_not_taken_leave_no_row(load, example):
    methods = {"mini-clip": ["pretrained", "magmax"]}
    mine = load(mine={"extends": "example", "take": {"methods": methods}})
    assert list(mine.experiments["mini-clip"].methods) == ["pretrained", "magmax"]
    assert mine.experiments["mini-resnet"] == example.experiments["mini-resnet"]
    assert mine.tables["table1"].rows == {"pretrained": "Pre-trained", "magmax": "MagMax"}
    assert list(mine.tables["table3"].rows) == ["pretrained"]
    assert mine.tables["table2"] == example.tables["table2"]
    # Nothing is left of table 4 and of the figures of CLIP.
    assert mine.tables.keys() == {"table1", "table2", "table3"}
    assert list(mine.figures) == ["gap"]


@pytest.mark.parametrize("comparable", [True, False])
def test_no_difference_is_printed_where_a_study_is_not_comparable(load, comparable):
    cells = {"table": "table1"}
    column = CLIP | {"published": cells}
    own = {"kind": "accuracy", "title": "x", "rows": ["uniform"], "columns": [column, CLIP]}
    first = {"extends": "example", "comparable": False, "tables": {"own": own}}
    mine = load(first=first, mine={"extends": "first", "comparable": comparable})
    taken, ours = mine.tables["table1"].columns[0], mine.tables["own"].columns
    assert not taken.published.comparable
    assert ours[0].published.comparable == comparable
    assert ours[1].published is None


CLIP_METHODS = "experiments.mini-clip.methods"
# Differences to the example, or other studies, and what the line says after the file's name.
WRONG = [
    ({"extends": "exampel"}, "'exampel'; did you mean 'example'?"),
    ({"extends": "mine"}, "extends: mine -> mine is a circle"),
    ({"take": {"tables": []}}, "`take`", "`extends`"),
    ({"take": {"tables": ["tabel1"]}}, "take.tables 'tabel1'; did you mean 'table1'?"),
    ({"take": {"methods": ["negmerg"]}}, "take.methods 'negmerg'; did you mean 'negmerge'?"),
    ({"take": {"methods": {"mini": []}}}, "take.methods 'mini'; did you mean 'mini-clip'?"),
    ({"take": {"methods": {"mini-clip": ["tie"]}}}, "take.methods.mini-clip 'tie'", "'ties'"),
    ({"take": {"methods": {"mini-clip": ["ties"]}, "tables": ["table4"]}}, "take.tables: table4"),
    ({"replace": {"digit": "letters"}}, "replace 'digit'; did you mean 'digits'?"),
    ({"experiments": {"mini-clip": {"methods": {"tie": None}}}}, f"{CLIP_METHODS} 'tie'", "'ties'"),
    ({"experiments": {"mini-clip": {"methods": {"ties": None}}}}, "tables.table1.", "'ties'"),
    ({"stand_ins": {"digits": "letters"}}, "'stand_ins'; it is now 'replace'"),
    ({"experiments": {"mini-clip": {"control": None}}}, "mini-clip.control is None", "string"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "parts"), [(change, parts) for change, *parts in WRONG])
def test_the_line_names_what_is_wrong(load, change, parts):
    alone = change.get("take") == {"tables": []}
    line = refused(lambda: load(mine=change if alone else {"extends": "example"} | change))
    assert "mine.yaml: " in line or "exampel.yaml: " in line
    assert all(part in line for part in parts), line


def test_a_mistake_in_the_other_study_is_said_to_be_there(load, config, change_yaml):
    change_yaml(config / "studies" / "example.yaml", "tabels", {})
    line = refused(lambda: load(mine={"extends": "example"}))
    assert "/studies/example.yaml: unknown key 'tabels'; " in line


def test_the_complete_study_can_be_printed_and_used(load, config, capsys):
    for path in sorted((config / "studies").glob("*.yaml")):
        name = path.stem
        assert main(["check", name, "--resolved", "--config", str(config)]) == 0
        (config / "studies" / "full.yaml").write_text(capsys.readouterr().out)
        found = load_study(config, "full").model_dump()
        assert found == load_study(config, name).model_dump()


VALUES = st.recursive(
    st.integers() | st.text(max_size=2) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)
SETTINGS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(SETTINGS, SETTINGS)
def test_a_change_is_there_afterwards_and_what_was_taken_is_left_alone(taken, change):
    before = copy.deepcopy(taken)
    found = _merge(taken, change, ())
    assert taken == before
    assert _merge(found, change, ()) == found
    assert _merge({}, found, ()) == found
    for key in taken.keys() - change.keys():
        assert found[key] == taken[key]
