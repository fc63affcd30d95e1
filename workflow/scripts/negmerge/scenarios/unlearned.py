"""The unlearned model of a method: the base, and what was chosen to make it forget."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from negmerge.checkpoints.divergence import DIVERGED, is_nothing_left, split_diverged
from negmerge.checkpoints.states import State, read_state, read_vector
from negmerge.errors import UserError, find
from negmerge.evaluation.accuracy import Ensemble, member_states
from negmerge.files import read_json_records
from negmerge.scenarios.task import Task
from negmerge.selection.choice import Choice
from negmerge.settings.methods import CHOSEN
from negmerge.unlearning.tuning import read_candidate
from negmerge.vectors import apply

# The kinds of methods whose candidates are trained models, not vectors.
TRAINED = ("unlearn", "retrain")


def choices(
    labels: Mapping[str, str],
    about: Mapping[str, object],
    selected: Iterable[str],
    candidates: Sequence[str] = (),
) -> list[dict]:
    """List what was chosen for a method, a record per criterion, that of the main one first."""
    paths, method = {Path(path).stem: path for path in selected}, labels["method"]
    if about["kind"] in CHOSEN and candidates:
        _, missing = split_diverged(candidates)
        about = {**about, "models": about["models"] - len(missing), DIVERGED: missing}
    if method in paths:
        keys = ("vector", "coefficient", "kind", "criterion")
        return [record | about for record in read_json_records(paths[method], keys)]
    trained, tried = about["kind"] in TRAINED, int(about["kind"] == "unlearn")
    name = method if trained else None
    only = Choice(name, float(trained), None, None, None, tried=tried)
    return [only.record(labels, None, about)]


def require_any_left(choice: Mapping) -> None:
    """Check that a method has a model."""
    if is_nothing_left(choice):
        raise UserError(
            f"{choice['method']}: no unlearned model, since the training of "
            f"{', '.join(choice[DIVERGED])} diverged; lower the rate"
        )


@dataclass(frozen=True)
class Unlearned:
    """The unlearned models of a method, by what was chosen for it."""

    task: Task
    base: str
    candidates: Sequence[str]  # files of vectors or trained models, among which it was chosen
    batch_size: int
    re_estimates: bool  # whether negated models get batch statistics of their own

    @classmethod
    def of_job(cls, task: Task, snakemake: Any) -> "Unlearned":
        inputs, params = snakemake.input, snakemake.params
        candidates = inputs.get("candidates", [])
        return cls(task, inputs.base, candidates, params.batch_size, params.re_estimates)

    def network(self, choice: Mapping) -> nn.Module:
        """Build the model that was chosen."""
        state = self._state(read_state(self.base), choice)
        if members := member_states(state):
            return Ensemble([self.task.network(member, self.base) for member in members])
        network = self.task.network(state, self.base)
        if self.re_estimates and choice["coefficient"] and choice["kind"] not in TRAINED:
            self.task.reset_batchnorm(network, self.batch_size)
        return network

    def _state(self, base: State, choice: Mapping) -> State:
        """Subtract the chosen vector from the base, or take the chosen trained model."""
        if not choice["coefficient"]:
            return base
        vector, paths = choice["vector"], {Path(path).stem: path for path in self.candidates}
        if choice["kind"] == "unlearn":
            return read_candidate(find("method", choice["method"], paths), vector)
        path = find("candidate", vector, paths)
        if choice["kind"] == "retrain":
            return read_state(path)
        return apply(base, read_vector(path), -choice["coefficient"], path)
