import pytest
from point_examples import points, trained

from negmerge.errors import UserError
from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection.choice import Point, read_points, write_points

LABELS = {"experiment": "e", "task": "digits", "vector": "more is left out"}


def test_a_sweep_comes_back(tmp_path):
    found = points("m1-n1", [0.0, 0.05], ("control",), forget=[75, 0], control=[33, 66])
    write_points(tmp_path / "s.csv", LABELS, found)
    assert (tmp_path / "s.csv").read_text() == (
        "experiment,task,vector,coefficient,forget_correct,forget_n,control_correct,control_n,"
        "rules\n"
        "e,digits,m1-n1,0.0,75,100,33,100,control\n"
        "e,digits,m1-n1,0.05,0,100,66,100,control\n"
    )
    assert read_points(tmp_path / "s.csv") == found
    assert (found[0].forget, found[0].control) == (0.75, 0.33)
    assert found[0].percentages == {"forget": 75.0, "control": 33.0}


def test_sums_of_scores_come_back(tmp_path):
    accuracy = {"forget": Accuracy(1 + 2**-30, 3), "retain": Accuracy(1e-7, 2)}
    found = [Point("m", 0.5, accuracy, rules=("retain",))]
    write_points(tmp_path / "s.csv", LABELS, found)
    assert read_points(tmp_path / "s.csv") == found


def test_trained_models_come_back_with_their_options_and_what_diverged(tmp_path):
    found = [
        *points("original", [0.0], mia=[0.1], forget=[99], retain=[99], test=[80]),
        *(
            trained(f"rate{rate}-by{by}", None, None, rate=rate, by=by)
            for rate, by in ((0.01, "size"), (0.1, "sign"))
        ),
        *points("rate0.3", [1.0], mia=[1 / 3], forget=[9], retain=[98], test=[70]),
    ]
    write_points(tmp_path / "m.csv", LABELS, found)
    again = read_points(tmp_path / "m.csv")
    assert again == found
    assert again[1].settings == {"rate": 0.01, "by": "size"}
    assert again[3].percentages == {"forget": 9.0, "retain": 98.0, "test": 70.0, "mia": 1 / 3}


HEAD = "experiment,task,vector,coefficient,forget_correct,forget_n,retain_correct,retain_n,rules\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        HEAD,
        HEAD + "e,t,m,zero,1,2,1,2,gap\n",
        HEAD + "e,t,m,0.0,1,2\n",
        HEAD + "e,t,m,0.0,1,2,1,\n",
        HEAD + "e,t,m,0.0,3,2,1,2,gap\n",
        HEAD + "e,t,m,0.0,1.5,1,1,2,gap\n",
        HEAD + "e,t,m,0.0,nan,2,1,2,gap\n",
        HEAD + "e,t,m,0.0,0,0,1,2,gap\n",
        HEAD + "e,t,m,0.0,1,2,1,2,gap\ne,t,m,1.0,1,2,,,gap\n",
        HEAD.replace("rules", "mia,rules") + "e,t,m,0.0,1,2,1,2,much,gap\n",
    ],
)
def test_files_that_are_no_measures_are_refused(tmp_path, text):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        read_points(tmp_path / "s.csv")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 's.csv'}: not a file of measures (")
    assert message.endswith("; delete it and run again")
    assert "\n" not in message
