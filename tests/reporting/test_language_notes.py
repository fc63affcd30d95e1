import pandas as pd

from negmerge.reporting.tables.language import _compared


def quality(counts):
    return pd.DataFrame(
        {
            "metric": ["quality", *["quality"] * len(counts)],
            "experiment": ["mean", *[f"e{k}" for k in range(len(counts))]],
            "value": -1.0,
            "images": [sum(counts), *counts],
        }
    )


def test_the_values_that_forget_quality_can_have_are_named():
    (note,) = _compared(quality([40, 40]))
    # p 0.919, 0.766, 0.579, and 2 / C(80, 40).
    assert "With 40 questions it can be 0.00, -0.04, -0.12, -0.24 and so on down to -22.7," in note


def test_unlike_many_questions_have_unlike_values():
    (note,) = _compared(quality([40, 20]))
    assert "With few questions it has few values, so the distance stands beside it." in note
