"""A language model forgets some authors, and should keep what it knows of the others."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from negmerge.checkpoints.states import State
from negmerge.data.questions import ROLES, Question, forgotten, parted, read_questions
from negmerge.data.splits import evenly_spread
from negmerge.data.tokenising import Encoder, read_tokenizer
from negmerge.evaluation.answering import Answering, Measure
from negmerge.files import read_json
from negmerge.models.language import ORIGIN, build_language_model, load_language_model
from negmerge.scenarios.language.measuring import measure
from negmerge.scenarios.task import Further, Purpose, Role, RoleOutputs, Scoring, Task


class LanguageTask(Task):
    """What jobs need of a task; see `negmerge.scenarios.task.Task`."""

    def __init__(self, settings: Mapping, files: Mapping[str, str], device: torch.device):
        super().__init__(settings, files, device)
        self._forgotten: float = settings["forgotten"]
        self._refusals: list[str] = settings["refusals"]
        self._measure: Measure = settings["measure"]
        self._trained_on: str = settings.get("trained_on", "all")
        self._questions = read_questions(files["questions"])
        self._tokenizer = read_tokenizer(files["tokenizer"], settings["model"]["end"])
        about = [self._model[key] for key in ("prompt", "size", "end")]
        self._encoder = Encoder(self._tokenizer, *about, self._model.get("prompts", {}))
        self._known: float = settings.get("known", 0.1)
        self._origin: str | None = None
        configuration = files.get("configuration")
        if configuration:
            own = read_json(configuration)
            self._origin = own.get(ORIGIN)
            self._model = self._model | {"configuration": own}

    def network(self, state: State, where: str) -> nn.Module:
        return self.placed(load_language_model(self._model, self._vocabulary, state, where))

    def untrained(self, weights: Path | None) -> nn.Module:
        return self.placed(build_language_model(self._model, self._vocabulary))

    def role(self, name: str, purpose: Purpose, most: int | None = None) -> Role:
        """Return the questions of a role; in training each is asked in all its wordings.

        `retain-sample` has as many of those to retain as are to be forgotten, evenly spread.
        `before` has the authors whom the model knows before it is taught any, `original` all who
        are taught, `refusals` the questions to forget as pairs: with the answer, and with a
        refusal. Of many questions, `most` are taken.
        """
        questions = self._questions_of(name, purpose)
        questions = [questions[place] for place in evenly_spread(len(questions), most)]
        texts = list(self._texts(questions, name, purpose))
        items = self._encoder.items(texts)
        if name == "refusals":
            refusals = itertools.cycle(self._refusals)
            refused = [(question, next(refusals), None, form) for question, _, _, form in texts]
            items = self._encoder.pairs(texts, refused)
        by = self._measure if purpose == "select" else "probability"
        objective = Answering(self._device, by, any(one.fact for one in questions))
        return Role(items, objective, _as_it_is, lambda augmentation: _as_it_is)

    def _texts(
        self, questions: Iterable[Question], name: str, purpose: Purpose
    ) -> Iterator[tuple[str, str, str | None, str]]:
        """Yield what the encoder takes: question, answer, the part that counts, and form."""
        for one in questions:
            asked = (one.question, *(one.wordings if purpose == "train" else ()))
            yield from ((wording, one.answer, one.fact, one.form) for wording in asked)
            if name == "before" and one.paraphrased_answer is not None:
                asked = (one.question, *one.wordings)
                yield from ((text, one.paraphrased_answer, None, one.form) for text in asked)

    def _questions_of(self, name: str, purpose: Purpose) -> Sequence[Question]:
        if name == "retain-sample":
            questions = self._questions_of("retain", purpose)
            count = len(self._questions_of("forget", purpose))
            return [questions[place] for place in evenly_spread(len(questions), count)]
        questions = [one for one in self._questions if one.split == ROLES[name]]
        if name in ("forget", "retain", "all-retain", "refusals"):
            authors = len({one.author for one in questions})
            first = authors - forgotten(authors, self._forgotten)
            questions = [
                one for one in questions if (one.author >= first) != name.endswith("retain")
            ]
        if name == "retain" and (purpose, self._trained_on) != ("train", "all"):
            choosing, scored = parted(questions)
            return scored if purpose == "score" else choosing
        return questions

    def scores(self, network: nn.Module, outputs: RoleOutputs, scoring: Scoring) -> Further:
        roles = {name: self._questions_of(name, "score") for name in self.roles}
        record, arrays = measure(network, self._encoder, roles, self._device, scoring.batch_size)
        if any(one.fact for one in roles["forget"]):
            record |= {"known_at": self._known}
        if self._origin:
            record |= {"base_from": self._origin}
        return record, arrays

    @property
    def _vocabulary(self) -> int:
        return self._tokenizer.get_vocab_size()


def _as_it_is(ids: Tensor) -> Tensor:
    return ids


# Nothing about the tokens is random.
_as_it_is.is_random = False


TASK = LanguageTask
