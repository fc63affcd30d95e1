"""A language model forgets some authors, and should keep what it knows of the others."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from negmerge.checkpoints.states import State
from negmerge.data.questions import ROLES, Question, forgotten, parted, read_questions
from negmerge.data.tokenising import Encoder, read_tokenizer
from negmerge.evaluation.answering import Answering, Measure
from negmerge.files import read_json
from negmerge.models.devices import tuned
from negmerge.models.language import build_language_model, load_language_model
from negmerge.scenarios.language.measuring import measure
from negmerge.scenarios.task import Further, Purpose, Role, RoleOutputs, Scoring, Task
from negmerge.settings.compute import Compute


class LanguageTask(Task):
    """What jobs need of a task; see `negmerge.scenarios.task.Task`."""

    def __init__(self, settings: Mapping, files: Mapping[str, str], device: torch.device):
        self.roles: list[str] = settings["roles"]
        self._model, self._device = settings["model"], device
        self._forgotten: float = settings["forgotten"]
        self._refusals: list[str] = settings["refusals"]
        self._measure: Measure = settings["measure"]
        self._trained_on: str = settings.get("trained_on", "all")
        self._compute = Compute.model_validate(settings.get("compute", {}))
        self._questions = read_questions(files["questions"])
        self._tokenizer = read_tokenizer(files["tokenizer"], settings["model"]["end"])
        about = [self._model[key] for key in ("prompt", "size", "end")]
        self._encoder = Encoder(self._tokenizer, *about)
        configuration = files.get("configuration")
        if configuration:
            self._model = self._model | {"configuration": read_json(configuration)}

    def network(self, state: State, where: str) -> nn.Module:
        model = load_language_model(self._model, self._vocabulary, state, where)
        return tuned(model.to(self._device), self._compute)

    def untrained(self, weights: Path | None) -> nn.Module:
        model = build_language_model(self._model, self._vocabulary)
        return tuned(model.to(self._device), self._compute)

    def role(self, name: str, purpose: Purpose, most: int | None = None) -> Role:
        """Return the questions of a role; in training each is asked in all its wordings.

        `before` has the authors whom the model knows before it is taught any, `original` all who
        are taught, `refusals` the questions to forget as pairs: with the answer, and with a
        refusal.
        """
        texts = list(self._texts(name, purpose))
        if most is not None and len(texts) > most:
            # Evenly spread, since questions stand author by author.
            texts = [texts[number * len(texts) // most] for number in range(most)]
        items = self._encoder.items(texts)
        if name == "refusals":
            refusals = itertools.cycle(self._refusals)
            refused = [(question, next(refusals)) for question, _ in texts]
            items = self._encoder.pairs(texts, refused)
        by = self._measure if purpose == "select" else "probability"
        objective = Answering(self._device, by)
        return Role(items, objective, _as_it_is, lambda augmentation: _as_it_is)

    def _texts(self, name: str, purpose: Purpose) -> Iterator[tuple[str, str]]:
        for one in self._questions_of(name, purpose):
            yield one.question, one.answer
            if purpose == "train":
                yield from ((wording, one.answer) for wording in one.wordings)
            if name == "before" and one.paraphrased_answer is not None:
                asked = (one.question, *one.wordings)
                yield from ((wording, one.paraphrased_answer) for wording in asked)

    def _questions_of(self, name: str, purpose: Purpose) -> Sequence[Question]:
        questions = [one for one in self._questions if one.split == ROLES[name]]
        if name in ("forget", "retain", "all-retain", "refusals"):
            authors = len({one.author for one in questions})
            first = authors - forgotten(authors, self._forgotten)
            questions = [one for one in questions if (one.author >= first) != name.endswith("retain")]
        if name == "retain" and (purpose, self._trained_on) != ("train", "all"):
            choosing, scored = parted(questions)
            return scored if purpose == "score" else choosing
        return questions

    def scores(self, network: nn.Module, outputs: RoleOutputs, scoring: Scoring) -> Further:
        roles = {name: self._questions_of(name, "score") for name in self.roles}
        return measure(network, self._encoder, roles, self._device, scoring.batch_size)

    @property
    def _vocabulary(self) -> int:
        return self._tokenizer.get_vocab_size()


def _as_it_is(ids: Tensor) -> Tensor:
    return ids


# Nothing about the tokens is random.
_as_it_is.is_random = False


TASK = LanguageTask
