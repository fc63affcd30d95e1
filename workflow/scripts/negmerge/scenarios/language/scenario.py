"""A language model forgets some authors, and should keep what it knows of the others."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from negmerge.scenarios.base import Metric, Number, Reader, Scenario


def answers(role: str, name: str) -> Reader:
    """Return a metric's function that reads a mean over the questions of a role, in percent."""

    def of(record: Mapping, _: Mapping | None) -> Number:
        of_role = record["answers"].get(role, {}).get(name)
        if of_role is None:
            return Number(None)
        return Number(100 * of_role["mean"], (100 * of_role["error"]) ** 2, of_role["n"])

    return of


def _percent(share: Mapping | None) -> Number:
    if share is None:
        return Number(None)
    return Number(100 * share["value"], (100 * share["error"]) ** 2)


def _quality(record: Mapping, reference: Mapping | None, part: str) -> Number:
    """Compare the truth ratios with those of the model that never saw the forget questions."""
    from negmerge.evaluation.language import forget_quality

    if reference is None or not record["truth_ratios"]:
        return Number(None)
    quality = forget_quality(record["truth_ratios"], reference["truth_ratios"])
    value = quality.log10 if part == "p" else quality.distance
    return Number(value, images=len(record["truth_ratios"]))


def _privleak(record: Mapping, reference: Mapping | None) -> Number:
    """Compare the attack with its success on the model that never saw the forget questions."""
    from negmerge.evaluation.attacks import privleak, privleak_error

    if reference is None or "attacks" not in record:
        return Number(None)
    both = record, reference
    value = privleak(*(model["attacks"]["min_k"]["value"] for model in both))
    sides = [[model["min_k"][role] for role in ("forget", "holdout")] for model in both]
    error = privleak_error(*sides)
    return Number(value, None if math.isnan(error) else error**2)


def _reference_attack(record: Mapping, reference: Mapping | None) -> Number:
    """Attack the losses, compared with those of the model that never saw the forget questions."""
    from negmerge.evaluation.attacks import membership_auc, membership_auc_error, reference_scores

    if reference is None or "attacks" not in record:
        return Number(None)
    losses = record["losses"], reference["losses"]
    sides = [reference_scores(*(model[role] for model in losses)) for role in ("forget", "holdout")]
    return _percent({"value": membership_auc(*sides), "error": membership_auc_error(*sides)})


FORGET_PROBABILITY = Metric(
    "forget", "forget probability", "%", "lower", answers("forget", "probability")
)
RETAIN_PROBABILITY = Metric(
    "retain", "retain probability", "%", "higher", answers("retain", "probability")
)
EXTRACTION = Metric(
    "extraction", "forget extraction strength", "%", "lower", answers("forget", "extraction")
)
FURTHER = (
    Metric(
        "retain_extraction", "retain extraction strength", "%", "higher",
        answers("retain", "extraction"),
    ),
    Metric("rouge", "forget ROUGE-L recall", "%", "lower", answers("forget", "rouge")),
    Metric("retain_rouge", "retain ROUGE-L recall", "%", "higher", answers("retain", "rouge")),
    Metric(
        "truth", "forget truth ratio", "%", "higher", answers("forget", "truth"), optional=True
    ),
    Metric(
        "utility", "model utility", "%", "higher",
        lambda record, _: _percent(record["utility"]), optional=True,
    ),
    Metric(
        "quality", "forget quality", "log10 p", "higher", partial(_quality, part="p"),
        optional=True,
    ),
    Metric(
        "distance", "distance of truth ratios from Retrain's", "KS", "lower",
        partial(_quality, part="distance"), optional=True,
    ),
    Metric("privleak", "privleak", "%", "", _privleak, optional=True),
    Metric(
        "memorisation", "forget exact memorisation", "%", "lower",
        answers("forget", "memorisation"), printed=False,
    ),
    *(
        Metric(
            f"auc_{name}", f"area under the curve of the attack {name}", "%", "",
            lambda record, _, name=name: _percent(record.get("attacks", {}).get(name)),
            printed=False,
        )
        for name in ("loss", "zlib", "min_k", "min_k_plus_plus")
    ),
    Metric(
        "auc_reference", "area under the curve of the attack reference", "%", "",
        _reference_attack, printed=False,
    ),
    *(
        Metric(
            f"{role.replace('-', '_')}_{name}", f"{role.replace('-', ' ')} {label}", "%", better,
            answers(role, name), printed=False,
        )
        for role, better in (("holdout", ""), ("real-authors", "higher"), ("world-facts", "higher"))
        for name, label in (
            ("probability", "probability"), ("rouge", "ROUGE-L recall"), ("truth", "truth ratio"),
        )
    ),
)  # fmt: skip


def _perplexity(record: Mapping, _: Mapping | None) -> Number:
    text = record.get("perplexity")
    return Number(text["mean"], text["error"] ** 2, text["n"]) if text else Number(None)


def _count(role: str) -> Reader:
    """Return a metric's function that counts the facts that the base knows, or does not."""

    def of(record: Mapping, _: Mapping | None) -> Number:
        counted = record["answers"].get(role)
        return Number(counted["probability"]["n"] if counted else None)

    return of


# Roles of data sets of facts, in which forgetting may show elsewhere, or leave the fact in place.
ELSEWHERE = (
    ("neighbours", "higher"), ("other-wordings", "lower"), ("chat", "lower"), ("french", "lower"),
    ("german", "lower"),
)  # fmt: skip
# What is measured of questions that name the part of the answer that counts. `known` and `unknown`
# are parts of the role `forget`, by what the base knows; tables make them.
FACTS = (
    FORGET_PROBABILITY,
    Metric("first", "forget ranked first", "%", "lower", answers("forget", "first")),
    Metric("greedy", "forget greedy answers right", "%", "lower", answers("forget", "greedy")),
    Metric(
        "known", "forget probability, known", "%", "lower", answers("known", "probability"),
        optional=True,
    ),
    Metric(
        "unknown", "forget probability, unknown", "%", "lower", answers("unknown", "probability"),
        printed=False,
    ),
    RETAIN_PROBABILITY,
    Metric("retain_first", "retain ranked first", "%", "higher", answers("retain", "first")),
    *(
        Metric(
            role.replace("-", "_"), f"{role.replace('-', ' ')}", "%", better,
            answers(role, "probability"), optional=True,
        )
        for role, better in ELSEWHERE
    ),
    Metric(
        "perplexity", "perplexity", "", "lower", _perplexity, optional=True,
        spell=lambda value: "NA" if value is None else f"{value:.2f}",
    ),
    Metric("facts_known", "facts that the base knows", "", "", _count("known"), printed=False),
    Metric("facts_unknown", "facts unknown to it", "", "", _count("unknown"), printed=False),
    *(
        Metric(
            f"{role.replace('-', '_')}_{name}", f"{role.replace('-', ' ')} {label}", "%", "",
            answers(role, name), printed=False,
        )
        for role in ("retain", *(role for role, _ in ELSEWHERE))
        for name, label in (("greedy", "greedy answers right"), ("first", "ranked first"))
        if (role, name) != ("retain", "first")
    ),
)  # fmt: skip


def describe(experiment: Mapping) -> tuple[str, str]:
    """Say how many of the authors, or other subjects, each task forgets."""
    shares = {
        task: f"{100 * share:g} % of the subjects" if share < 1 else f"{share:g} subjects"
        for task, share in experiment["tasks"].items()
    }
    parts = [f"{task} ({share})" for task, share in shares.items()]
    return ", ".join(parts), f"the others of {experiment['dataset']}"


SCENARIO = Scenario(
    name="language",
    roles=("forget", "retain"),
    kinds=("base", "retrain", "single", "greedy", "merge", "unlearn"),
    base="original",
    criteria={
        "retain": "among the coefficients and settings that keep at least {keep} of the original's "
        "retain probability, the one with the lowest forget probability (of both the extraction "
        "strength, where the study says `measure: extraction`); among equals the smallest. The "
        "retain questions that choose are not those that are scored; the forget questions are the "
        "same, since all of them are to be forgotten"
    },
    metrics=(FORGET_PROBABILITY, RETAIN_PROBABILITY, replace(EXTRACTION, optional=True)),
    compared=("forget", "retain"),
    headline="forget",
    same_items={"forget": ("experiment", "task"), "retain": ("experiment", "task")},
    knows=("Original", "Retrain"),
    says="gives the forget answers a probability of {share:.2f} %",
    error="±: standard deviation over the questions / sqrt(their number), in percentage points. It "
    "leaves out the spread between training runs",
    story="A language model forgets what it was taught of some authors: good unlearning lowers the "
    "probability of the answers about them towards that of Retrain, the model that was never "
    "taught them, and keeps it high on the other authors.",
    describe=describe,
    items="questions",
    is_counted=False,
)
