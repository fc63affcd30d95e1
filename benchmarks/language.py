"""Measure tokens a second of language models, and memory, beside plain loops of transformers.

    python benchmarks/language.py [--rounds 7] [--note TEXT]

Both train the same model on the same questions, find the losses of the same answers and continue
the same prompts, in turns, in one process, on one thread, and in processor time, which other
programs on the machine change little. Peak memory is that of a process that trains. Writes
benchmarks/language.json and, as Markdown, what stands between the `language` marks of
docs/dev/measurements.md.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import plain_language as plain
import torch
from marks import MEASUREMENTS, ROOT, machine, machine_of, write_between
from torch import Tensor, nn

from merge import run
from negmerge.data.loading import TrainingBatches
from negmerge.data.sources.fabricated import read_authors
from negmerge.data.tokenising import Encoder, Item, train_tokenizer
from negmerge.evaluation.answering import Answering
from negmerge.models.answers import score_answers
from negmerge.models.generation import generate_greedily
from negmerge.models.language import build_language_model
from negmerge.scenarios.language.settings import TextRecipe
from negmerge.settings.catalogue import load_catalogue
from negmerge.training import fit

FACTS = ROOT / "resources" / "invented-authors.json"
RECORD = ROOT / "benchmarks" / "language.json"
CPU = torch.device("cpu")
AUTHORS = {"options": {"seed": 0, "per_author": 10}, "splits": {"authors": 800}}
# Row of config/models.yaml: questions, batch of training, most facts that an answer joins. The
# texts of the second are of unlike length, as TOFU's are, 44 tokens on average.
CASES = {"mini-llama": (256, 64, 1), "small-llama": (64, 32, 7)}
# Questions that are measured, answers of each, answers in a pass, tokens of a text.
ASKED, ANSWERS, PASS, MOST = 16, 7, 32, 32
TASKS = {"train": "training", "losses": "losses of answers", "generate": "generation"}


@dataclass(frozen=True)
class Case:
    """A model, and what it is given: texts to learn, and the prompts and answers to measure."""

    row: dict
    encoder: Encoder
    texts: list[plain.Text]
    items: list[Item]
    asked: list[tuple[list[int], list[list[int]]]]
    recipe: TextRecipe

    def model(self) -> nn.Module:
        """Build the model, always with the same weights."""
        torch.manual_seed(0)
        return build_language_model(self.row, self.encoder.tokenizer.get_vocab_size())

    def loops(self, task: str) -> dict[str, Callable[[nn.Module], object]]:
        """Return both ways to do a task with a model."""
        prompts, end = [prompt for prompt, _ in self.asked], self.encoder.end_id
        pairs = [(prompt, answer) for prompt, answers in self.asked for answer in answers]
        return {
            "train": {
                "plain": lambda model: plain.train(model, self.texts, self.recipe),
                "negmerge": self._train,
            },
            "losses": {
                "plain": lambda model: plain.losses(model, pairs, PASS),
                "negmerge": lambda model: score_answers(model, self.asked, CPU, PASS),
            },
            "generate": {
                "plain": lambda model: plain.generate(model, prompts, end, MOST, PASS),
                "negmerge": lambda model: generate_greedily(model, prompts, [end], CPU, MOST, PASS),
            },
        }[task]

    def tokens(self, task: str, result: object) -> int:
        """Count the tokens that a task reads, or says; padding is none."""
        if task == "generate":
            return sum(map(len, result))
        texts = self.texts
        if task == "losses":
            texts = [(prompt, answer) for prompt, answers in self.asked for answer in answers]
        return sum(len(prompt) + len(answer) for prompt, answer in texts)

    def _train(self, model: nn.Module) -> None:
        batches = TrainingBatches(self.items, _as_it_is, self.recipe, 0)
        loss = Answering(CPU).loss(model, 0.0)
        fit(model, batches, len(batches), loss, self.recipe, CPU, lambda line: None)


def _as_it_is(ids: Tensor) -> Tensor:
    return ids


_as_it_is.is_random = False


def make_case(name: str) -> Case:
    """Set up a row of `CASES`."""
    count, batch, most = CASES[name]
    row = load_catalogue(ROOT / "config").models[name].model_dump()
    questions = list(read_authors({"facts": str(FACTS)}, AUTHORS))
    tokenizer = train_tokenizer([t for one in questions for t in one.texts], **row["tokenizer"])
    encoder = Encoder(tokenizer, row["prompt"], row["size"], row["end"])
    pairs = [
        (one.question, " ".join(part.answer for part in questions[n : n + 1 + n % most]))
        for n, one in enumerate(questions[:count])
    ]
    texts = [encoder.encode(*pair) for pair in pairs]
    asked = [
        (texts[n][0], [texts[(n + k) % count][1] for k in range(ANSWERS)]) for n in range(ASKED)
    ]
    recipe = TextRecipe(epochs=1, batch_size=batch)
    return Case(row, encoder, texts, encoder.items(pairs), asked, recipe)


def check(case: Case) -> None:
    """Check that both ways find the same losses, and say the same texts."""
    model = case.model()
    theirs, ours = (loop(model) for loop in case.loops("losses").values())
    found = [one.loss for answers in ours for one in answers]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(theirs), rtol=1e-5, atol=1e-6)
    theirs, ours = (loop(model) for loop in case.loops("generate").values())
    assert ours == theirs


def speeds(case: Case, task: str, rounds: int) -> dict[str, float]:
    """Time both loops of a task in turns, in tokens a second: the fastest round of each.

    `ratio` is of these, `median_ratio` the median over the rounds.
    """
    models = {loop: case.model() for loop in case.loops(task)}
    found: dict[str, list[float]] = {loop: [] for loop in models}
    for number in range(rounds + 1):
        # Each goes first as often as the other.
        loops = list(case.loops(task).items())[:: 1 if number % 2 else -1]
        for loop, work in loops:
            start = time.process_time()
            result = work(models[loop])
            taken = time.process_time() - start
            if number:  # The first warms up.
                found[loop].append(case.tokens(task, result) / taken)
    ratios = [ours / plain for ours, plain in zip(found["negmerge"], found["plain"], strict=True)]
    fastest = {loop: round(max(each)) for loop, each in found.items()}
    return fastest | {
        "ratio": round(fastest["negmerge"] / fastest["plain"], 3),
        "median_ratio": round(statistics.median(ratios), 3),
    }


def peaks(name: str) -> dict[str, int]:
    """Return the peak memory of both ways to train in MB, each in a process of its own."""
    command = [sys.executable, __file__, "--alone", name]
    return {loop: round(run([*command, loop])[2]) for loop in ("plain", "negmerge")}


def markdown(record: dict) -> str:
    """Describe the record."""
    lines = [
        "Language models by `benchmarks/language.py`, in tokens a second of processor time on one",
        f"thread, the fastest of {record['rounds']} rounds in turns; beside it plain loops of",
        "transformers, which give the same losses and texts. Padding does not count as tokens.",
        f"{machine_of(record)} {record['note']}".rstrip(),
        "",
        "| model | what | here | plain loop | ratio | median ratio of the rounds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, of_model in record["models"].items():
        for task, found in of_model["tasks"].items():
            cells = [name, TASKS[task], f"{found['negmerge']:,}", f"{found['plain']:,}"]
            cells += [f"{found[kind]:.2f}" for kind in ("ratio", "median_ratio")]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Peak memory of a process that trains, beyond the page cache, in MB:", ""]
    lines += ["| model | here | plain loop |", "| --- | ---: | ---: |"]
    for name, of_model in record["models"].items():
        peak = of_model["peak_mb"]
        lines.append(f"| {name} | {peak['negmerge']} | {peak['plain']} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the record and the page."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--rounds", type=int, default=7)
    words.add_argument("--note", default="", help="what else the page should say")
    words.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    options = words.parse_args()
    torch.set_num_threads(1)
    if options.alone:
        name, loop = options.alone
        case = make_case(name)
        case.loops("train")[loop](case.model())
        return
    record = {"machine": machine(), "note": options.note, "rounds": options.rounds, "models": {}}
    for name in CASES:
        case = make_case(name)
        check(case)
        found = {task: speeds(case, task, options.rounds) for task in TASKS}
        record["models"][name] = {"tasks": found, "peak_mb": peaks(name)}
        print(name, record["models"][name], flush=True)
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    write_between(MEASUREMENTS, "language", markdown(record))


if __name__ == "__main__":
    main()
