"""Answers to forget and to retain, a Llama of a few thousand numbers, and runs."""

import torch
from unlearning_examples import CPU, Batches, Unreadable, example_recipe, unlearn

from negmerge.data.tokenising import WITHOUT_LOSS
from negmerge.evaluation.answering import Answering
from negmerge.unlearning import METHODS, Data
from small_language_models import VOCABULARY, language_model

NAMES = [
    name
    for name in METHODS
    if "language" in METHODS[name].options.scenarios and METHODS[name].options.vectors == "none"
]
OPTIONS = {"epochs": 2, "learning_rate": 3e-3}
OWN = {"rmu": {"layer": 0}}


def texts(count, seed):
    """Ids and labels (count, 8): three tokens of a question, two to four of an answer, an end."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (count, 8), generator=generator)
    labels = ids.clone()
    labels[:, :3] = WITHOUT_LOSS
    for row in range(count):
        end = 5 + row % 3
        ids[row, end] = labels[row, end] = 2
        ids[row, end + 1 :], labels[row, end + 1 :] = 0, WITHOUT_LOSS
    return ids, labels


FORGET, RETAIN = texts(6, 1), texts(14, 2)
REFUSAL = torch.tensor([50, 51, 52, 2, 0])


def refusals():
    """Pairs of the answers to forget and of one refusal, to the same questions."""
    ids, labels = (part.clone() for part in FORGET)
    ids[:, 3:] = labels[:, 3:] = REFUSAL
    labels[:, 7] = WITHOUT_LOSS
    return torch.stack([FORGET[0], ids], 1), torch.stack([FORGET[1], labels], 1)


def example_data(seed=0):
    forget, retain = Batches(*FORGET, size=3, shuffle=True), Batches(*RETAIN, size=3, shuffle=True)
    closed = [Unreadable()] * 3
    pairs = Batches(*refusals(), size=3, shuffle=True)
    recipe = example_recipe(optimizer="adamw", weight_decay=0.01)
    return Data(forget, retain, *closed, Answering(CPU), 0, seed, recipe, refusals=pairs)


def untrained(**settings):
    return language_model(hidden_size=32, num_hidden_layers=2, intermediate_size=48, **settings)


def run(name, data=None, model=None, **options):
    options = OPTIONS | OWN.get(name, {}) | options
    return unlearn(name, model or untrained(), data or example_data(), **options)
