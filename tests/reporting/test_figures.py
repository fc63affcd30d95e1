import pytest
from reporting_examples import choice

from negmerge.errors import UserError
from negmerge.reporting.style import save
from negmerge.reporting.sweeps import read_sweeps

CHOSEN = [choice("a", "digits", "negmerge", 1.0, 30.0, 76.0)]


def figure(kind, **changes):
    return {
        "kind": kind,
        "title": "A figure",
        "experiments": ["a"],
        "methods": {"negmerge": "NegMerge"},
    } | changes


def test_tradeoff_holds_every_point_of_every_line(draw, sweep_files):
    _, data = draw(figure("tradeoff"), sweeps=sweep_files, selected=CHOSEN)
    assert data.groupby(["series", "vector"]).size().to_dict() == {
        ("single", "m1"): 4,
        ("single", "m5"): 4,
        ("negmerge", "negmerge"): 4,
    }
    (chosen,) = data[data["chosen"]].to_dict("records")
    assert (chosen["label"], chosen["coefficient"]) == ("NegMerge", 1.0)
    assert (chosen["forget"], chosen["control"], chosen["threshold"]) == (30, 76, 76)


def test_tradeoff_follows_the_single_model_that_a_method_chose(draw, sweep_files):
    chosen = [*CHOSEN, choice("a", "digits", "task-arithmetic", 0.5, 50.0, 78.0, vector="m1")]
    definition = figure("tradeoff", methods={"task-arithmetic": "Task Arithmetic"})
    _, data = draw(definition, sweeps=sweep_files, selected=chosen)
    assert set(data.loc[data["series"] == "task-arithmetic", "vector"]) == {"m1"}
    assert set(data.loc[data["series"] == "single", "vector"]) == {"m1", "m5"}


def test_spread_takes_the_lowest_forget_accuracy_that_keeps_the_control(draw, sweep_files):
    _, data = draw(figure("spread"), sweeps=sweep_files, selected=CHOSEN)
    # 95 % of 80 is 76, reached at coefficient 1 and missed at 1.5.
    found = {row["vector"]: (row["coefficient"], row["forget"]) for row in data.to_dict("records")}
    assert found == {"m1": (1.0, 40), "m5": (1.0, 45), "negmerge": (1.0, 30)}
    assert list(data["series"]) == ["single", "single", "negmerge"]


@pytest.mark.parametrize("kind", ["tradeoff", "spread"])
@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_files_are_the_same_in_every_byte(draw, sweep_files, tmp_path, kind, ending):
    for name in ("one", "two"):
        picture, _ = draw(figure(kind), sweeps=sweep_files, selected=CHOSEN)
        save(picture, tmp_path / f"{name}.{ending}")
    one, two = (tmp_path / f"{name}.{ending}" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert b"CreationDate" not in one.read_bytes()
    assert b"Software" not in one.read_bytes()


def test_without_a_choice_the_accuracy_to_keep_is_not_known(draw, sweep_files):
    with pytest.raises(UserError, match="a/digits: no method of the figure"):
        draw(figure("spread", methods={}), sweeps=sweep_files, selected=[])


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "experiment,task,vector,coefficient\n"])
def test_a_file_that_is_no_sweep_is_named(tmp_path, text):
    path = tmp_path / "m1.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"m1.csv: not a sweep"):
        read_sweeps([path])
