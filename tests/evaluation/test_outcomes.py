from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Classification
from negmerge.evaluation.outcomes import outcomes_of, read_outcomes, write_outcomes

LABELS = {"experiment": "a", "task": "trial1", "method": "negmerge", "rule": "gap"}
OBJECTIVE = Classification(None, torch.device("cpu"))
LOGITS = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 3.0]])


def write(path, **further):
    found = {
        "forget": (LOGITS, torch.tensor([0, 1, 1])),
        "test": (LOGITS[:2, :2], torch.tensor([1, 1])),
    }
    scores = {role: OBJECTIVE.scores(outputs) for role, outputs in found.items()}
    classes = {role: OBJECTIVE.classes(outputs) for role, outputs in found.items()}
    one = outcomes_of(LABELS, scores, classes, further)
    write_outcomes(path, [one, replace(one, rule=None)])
    return path


def test_outcomes_read_back(tmp_path):
    unseen = np.array([1, 0, 1], np.uint8)
    found, other = read_outcomes(write(tmp_path / "m.safetensors", forget_unseen=unseen))
    assert (found.place, found.rule, other.rule) == (("a", "trial1", "negmerge"), "gap", None)
    assert np.array_equal(other.right("test"), found.right("test"))
    assert found.classes == {"forget": 3, "test": 2}
    # Of equal logits the first is the answer.
    assert found.right("forget").tolist() == [1, 1, 0]
    assert found.right("test").tolist() == [0, 1]
    assert found.right("forget").dtype == np.uint8
    assert np.array_equal(found.arrays["forget_unseen"], unseen)


def test_scores_between_0_and_1_stay_what_they_are(tmp_path):
    scores = torch.tensor([0.25, 1.0], dtype=torch.float64)
    one = outcomes_of(LABELS, {"forget": scores}, {"forget": 0}, {})
    write_outcomes(tmp_path / "m.safetensors", [one])
    (found,) = read_outcomes(tmp_path / "m.safetensors")
    assert found.right("forget").dtype == np.float64
    assert found.right("forget").tolist() == [0.25, 1.0]


def test_equal_outcomes_give_equal_bytes(tmp_path):
    one, two = (write(tmp_path / f"{name}.safetensors") for name in "ab")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("text", [b"", b"no safetensors"])
def test_a_file_of_something_else_is_an_error(tmp_path, text):
    (tmp_path / "m.safetensors").write_bytes(text)
    with pytest.raises(UserError, match=r"m\.safetensors: holds no outcomes of single images"):
        read_outcomes(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "header",
    [
        None,
        {"negmerge": "[]"},
        {"negmerge": '[{"experiment": "a"}]'},
    ],
)
def test_a_header_that_does_not_fit_is_an_error(tmp_path, header):
    path = tmp_path / "m.safetensors"
    save_file({"0/forget_right": np.zeros(2, np.uint8)}, path, metadata=header)
    with pytest.raises(UserError, match="holds no outcomes of single images"):
        read_outcomes(path)
