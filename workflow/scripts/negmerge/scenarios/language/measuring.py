"""All metrics of one language model, question by question: TOFU's, and those of single facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from negmerge.data.questions import Question
from negmerge.data.tokenising import Encoder
from negmerge.evaluation.attacks import (
    membership_auc,
    membership_auc_error,
    min_k_plus_plus_scores,
    min_k_scores,
    zlib_scores,
)
from negmerge.evaluation.language import (
    answer_probability,
    exact_memorisation,
    extraction_strength,
    model_utility,
    normalised_probability,
    rouge_recall,
    truth_ratios,
    truthfulness,
    utility_error,
)
from negmerge.models.answers import Answer, score_answers, score_packed
from negmerge.models.beginnings import shares_beginnings
from negmerge.models.generation import generate_greedily

# Whose wrong answers are choices to the right one, so that its share among them counts.
CHOICES = ("real-authors", "world-facts")
# Roles that membership attacks tell from each other; what the others know is to be kept.
ATTACKED = ("forget", "holdout")
# What the utility of a model is the harmonic mean of, in each role to keep.
USEFUL = ("probability", "rouge", "truth")
# The role of plain sentences, of which only the perplexity counts.
TEXTS = "text"
Arrays = dict[str, np.ndarray]


def measure(
    network: nn.Module,
    encoder: Encoder,
    roles: Mapping[str, Sequence[Question]],
    device: torch.device,
    batch_size: int,
) -> tuple[dict[str, object], Arrays]:
    """Measure a model; give what its score holds, and the metrics (n,) of each question."""
    model = _Model(network, encoder, device, batch_size)
    texts = roles.get(TEXTS, ())
    roles = {role: questions for role, questions in roles.items() if role != TEXTS}
    attacked = ATTACKED if "holdout" in roles else ()
    scored = {role: model.scored(asked, role in attacked) for role, asked in roles.items()}
    of_roles = {role: _of_role(model, role, asked, scored[role]) for role, asked in roles.items()}
    record: dict[str, object] = {
        "answers": {
            role: {name: _mean(values) for name, values in of_role.items()}
            for role, of_role in of_roles.items()
        },
        "utility": _utility(of_roles),
        "truth_ratios": _ratios(scored["forget"]).tolist(),
        "losses": {
            role: [one.loss for one, *_ in scored[role]] for role in ATTACKED if role in scored
        },
    }
    if attacked:
        sides = {role: _attack_scores(scored[role], roles[role]) for role in attacked}
        record["attacks"] = _attacks(*sides.values())
        record["min_k"] = {role: side["min_k"].tolist() for role, side in sides.items()}
    if texts:
        record["perplexity"] = _perplexity([answers[0] for answers in model.scored(texts)])
    arrays = {
        f"{role}_{name}": values
        for role, of_role in of_roles.items()
        for name, values in of_role.items()
    }
    return record, arrays


@dataclass(frozen=True)
class _Model:
    """A model that is asked."""

    network: nn.Module
    encoder: Encoder
    device: torch.device
    batch_size: int

    def scored(self, questions: Sequence[Question], moments: bool = False) -> list[list[Answer]]:
        """Score the right answer of each, a right one in other words, and the wrong ones."""
        asked = []
        for one in questions:
            others = [one.paraphrased_answer] if one.paraphrased_answer else []
            pairs = [
                self.encoder.encode(one.question, text, _part_of(one, text), one.form)
                for text in (one.answer, *others, *one.perturbed_answer)
            ]
            asked.append((pairs[0][0], [answer for _, answer in pairs]))
        is_packed = not moments and any(one.fact or not one.question for one in questions)
        if is_packed and shares_beginnings(self.network):
            scored = score_packed(self.network, asked)
        else:
            scored = score_answers(self.network, asked, self.device, self.batch_size, moments)
        return [
            answers if one.paraphrased_answer else [answers[0], *answers]
            for one, answers in zip(questions, scored, strict=True)
        ]

    def rouge(self, questions: Sequence[Question]) -> np.ndarray:
        """Compare what the model says by itself with the right answers."""
        prompts = [self.encoder.encode(one.question, one.answer)[0] for one in questions]
        how = [self.encoder.end_id], self.device
        said = generate_greedily(self.network, prompts, *how, batch_size=self.batch_size)
        texts = [self.encoder.tokenizer.decode(tokens).strip() for tokens in said]
        return rouge_recall([one.answer for one in questions], texts)


def _of_role(
    model: _Model, role: str, questions: Sequence[Question], scored: list[list[Answer]]
) -> Arrays:
    if any(one.fact for one in questions):
        return _of_facts(role, scored)
    return _metrics(role, questions, scored) | {"rouge": model.rouge(questions)}


def _part_of(one: Question, answer: str) -> str | None:
    """Return the part of an answer that takes the place of the fact in the right one."""
    if one.fact is None or answer == one.answer:
        return one.fact
    before, _, after = one.answer.rpartition(one.fact)
    return answer.removeprefix(before).removesuffix(after)


def _of_facts(role: str, scored: list[list[Answer]]) -> Arrays:
    """Measure how probable facts are, and whether they come first, among answers and in words."""
    losses = np.array([one.loss for one, *_ in scored])
    metrics = {"probability": answer_probability(losses)}
    # The model says by itself, token by token, what is the most probable after the true ones.
    greedy = [(one.predicted == one.tokens).all() for one, *_ in scored]
    metrics["greedy"] = np.array(greedy, np.float64)
    if all(others for _, _, *others in scored):
        ahead = [all(one.loss < wrong.loss for wrong in others) for one, _, *others in scored]
        metrics["first"] = np.array(ahead, np.float64)
        kind = "forget" if role == "forget" else "retain"
        metrics["truth"] = truthfulness(_ratios(scored), kind)
    return metrics


def _perplexity(texts: Sequence[Answer]) -> dict[str, float | int]:
    """Return exp of the mean loss of all tokens, and its standard error by the delta method."""
    sums = np.array([-text.log_probs.sum() for text in texts])
    counts = np.array([len(text.tokens) for text in texts])
    n, mean = len(texts), sums.sum() / counts.sum()
    rest = ((sums - mean * counts) ** 2).sum()
    error = np.sqrt(rest * n / max(n - 1, 1)) / counts.sum()
    value = float(np.exp(mean))
    return {"mean": value, "error": float(value * error), "n": n}


def _metrics(role: str, questions: Sequence[Question], scored: list[list[Answer]]) -> Arrays:
    losses = np.array([one.loss for one, *_ in scored])
    wrong = [[one.loss for one in others] for _, _, *others in scored]
    metrics = {"probability": answer_probability(losses)}
    if role in CHOICES:
        metrics["probability"] = normalised_probability(losses, wrong)
    # The end of an answer is not what is remembered.
    pairs = [(one.predicted[:-1], one.tokens[:-1]) for one, *_ in scored]
    metrics["extraction"] = np.array([extraction_strength(*pair) for pair in pairs])
    memorised = [exact_memorisation(*pair) for pair in pairs]
    metrics["memorisation"] = np.array([np.nan if one is None else one for one in memorised])
    if all(one.perturbed_answer for one in questions):
        kind = "forget" if role == "forget" else "retain"
        metrics["truth"] = truthfulness(_ratios(scored), kind)
    return metrics


def _ratios(scored: list[list[Answer]]) -> np.ndarray:
    """Compute the truth ratio of each question; nothing where there are no wrong answers."""
    if not all(others for _, _, *others in scored):
        return np.array([])
    right = [paraphrased.loss for _, paraphrased, *_ in scored]
    return truth_ratios(right, [[one.loss for one in others] for _, _, *others in scored])


def _mean(values: np.ndarray) -> dict[str, float | int]:
    """Return the mean over the questions that have a value, and its standard error."""
    known = values[~np.isnan(values)]
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else 0.0
    return {"mean": float(known.mean()) if len(known) else 0.0, "error": error, "n": len(known)}


def _utility(of_roles: Mapping[str, Arrays]) -> dict[str, float] | None:
    """Return the harmonic mean of what is useful in the roles to keep, where all is known."""
    kept = [of_role for role, of_role in of_roles.items() if role not in ATTACKED]
    if not all(name in of_role for of_role in kept for name in USEFUL):
        return None
    sets = [np.stack([of_role[name] for name in USEFUL], axis=1) for of_role in kept]
    parts = np.concatenate([values.mean(axis=0) for values in sets])
    return {"value": model_utility(parts), "error": utility_error(sets)}


def _attacks(forget: Arrays, holdout: Arrays) -> dict[str, dict[str, float]]:
    pairs = {name: (scores, holdout[name]) for name, scores in forget.items()}
    return {
        name: {"value": membership_auc(*pair), "error": membership_auc_error(*pair)}
        for name, pair in pairs.items()
    }


def _attack_scores(scored: list[list[Answer]], questions: Sequence[Question]) -> Arrays:
    first = [one for one, *_ in scored]
    losses = np.array([one.loss for one in first])
    log_probs, means, variances = (
        [getattr(one, name)[:-1] for one in first] for name in ("log_probs", "means", "variances")
    )
    return {
        "loss": losses,
        "zlib": zlib_scores(losses, [one.answer for one in questions]),
        "min_k": min_k_scores(log_probs),
        "min_k_plus_plus": min_k_plus_plus_scores(log_probs, means, variances),
    }
