"""The metrics of two Llama-2-7b against the numbers that follow from TOFU's stored logs."""

import json
from pathlib import Path

import numpy as np
import pytest

from negmerge.evaluation.language import (
    answer_probability,
    forget_quality,
    model_utility,
    normalised_probability,
    rouge_recall,
    truth_ratio,
    truth_ratios,
)

# The logs were averaged without the 1e-10 that keeps denominators from being 0.
EXACT = 1e-6
MODELS = ("full", "retain90")
SETS = ("forget", "retain", "real_authors", "world_facts")


@pytest.fixture(scope="module")
def tofu(golden):
    return golden("tofu_llama2")


def ratios(tofu, model, part):
    names = ("paraphrased_loss", "perturbed_loss")
    return truth_ratios(*(tofu[f"{model}/{part}/{name}"] for name in names))


def parts(tofu, model, part):
    """Probability, ROUGE-L recall and truth ratio of a set."""
    losses = tofu[f"{model}/{part}/answer_loss"]
    result = answer_probability(losses)
    if part in ("real_authors", "world_facts"):
        result = normalised_probability(losses, tofu[f"{model}/{part}/perturbed_loss"])
    kind = "forget" if part == "forget" else "retain"
    return {
        "probability": result.mean(),
        "rougeL_recall": tofu[f"{model}/{part}/rougeL_recall"].mean(),
        "truth_ratio": truth_ratio(ratios(tofu, model, part), kind),
    }


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("part", SETS)
def test_the_numbers_of_a_set(tofu, model, part):
    expected = tofu.meta["expected"][model][part]
    assert parts(tofu, model, part) == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("model", MODELS)
def test_model_utility(tofu, model):
    nine = [value for part in SETS[1:] for value in parts(tofu, model, part).values()]
    assert len(nine) == 9
    expected = tofu.meta["expected"][model]["model_utility"]
    assert model_utility(nine) == pytest.approx(expected, rel=EXACT)


def test_forget_quality(tofu):
    expected = tofu.meta["expected"]["forget_quality"]
    full, retain = (ratios(tofu, model, "forget") for model in MODELS)
    p, distance = forget_quality(full, retain)
    assert p == pytest.approx(expected["p"], rel=EXACT)
    assert distance == pytest.approx(expected["distance"], rel=1e-12)
    # The logs have correct / wrong, and the test sees ranks only.
    assert forget_quality(1 / full, 1 / retain) == pytest.approx((p, distance), rel=1e-12)
    assert forget_quality(retain, retain) == (1.0, 0.0)


@pytest.mark.parametrize("model", MODELS)
def test_rouge_recall_of_generated_texts(tofu, model):
    pytest.importorskip("rouge_score")
    path = Path(__file__).parents[1] / "golden" / "tofu_llama2_texts.json"
    texts, truths = zip(*json.loads(path.read_text())[model], strict=True)
    assert len(texts) == 100
    recalls = rouge_recall(truths, texts)
    np.testing.assert_allclose(
        recalls, tofu[f"{model}/forget/rougeL_recall"][:100], rtol=0, atol=1e-9
    )
