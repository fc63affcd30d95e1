"""Continuing an interrupted training run: it ends with the bytes of an undisturbed one."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from negmerge.errors import UserError
from negmerge.files import replacing
from negmerge.jobs.provenance import versions
from negmerge.training import TrainingState

# The least seconds from the start, or from the last state, to the next one, and the least multiple
# of what saving the last one took.
SECONDS, RATIO = 300.0, 40.0
# What a scheduler sends before it kills a job, and what Ctrl-C does.
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class SavedState:
    """The saved state of one training run, in a file at `path`, see `torch.save`.

    `run` is all that decides the run, as JSON values; a state of another run is not used.
    """

    def __init__(self, path: str | Path, run: object):
        self.path = Path(path)
        self._run = json.dumps(run, sort_keys=True)
        self._due = time.monotonic() + SECONDS
        self._caught: int | None = None

    @classmethod
    def of_job(cls, snakemake: Any, made_from: object) -> "SavedState":
        """Return the saved state of a job; params, versions and inputs decide its run."""
        # Beside the output, which Snakemake deletes when a job fails and before it runs.
        output = Path(snakemake.output[0])
        run = [dict(snakemake.params.items()), made_from, versions()]
        return cls(output.with_name(f".{output.stem}.state.pt"), run)

    def restore(self, training: TrainingState, steps: int) -> int:
        """Bring a run back to where it was saved, if that can be used; return the steps done."""
        if not self.path.exists():
            return 0
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            if not isinstance(state, dict) or state.get("run") != self._run:
                raise ValueError("it belongs to another run")
        except Exception as error:  # torch has many for a damaged file
            first, *_ = str(error).splitlines() or [repr(error)]
            print(f"the saved state is not used, training starts anew: {self.path}: {first}")
            return 0
        training.model.load_state_dict(state["model"])
        training.optimizer.load_state_dict(state["optimizer"])
        for generator, drawn in zip(training.generators, state["generators"], strict=True):
            generator.set_state(drawn)
        print(f"continuing after step {state['done']} of {steps}, saved in {self.path}")
        return state["done"]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note the first of `SIGNALS`, for `after_step`; a second one acts as it did before."""
        before = {number: signal.getsignal(number) for number in SIGNALS}

        def act_as_before() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def note(number: int, frame: object) -> None:
            self._caught = number
            act_as_before()

        for number in SIGNALS:
            signal.signal(number, note)
        try:
            yield
        finally:
            act_as_before()
        # One that came after the last step.
        if self._caught is not None:
            signal.raise_signal(self._caught)

    def after_step(self, training: TrainingState, done: int, steps: int) -> None:
        """Save the run if it is time to; after a signal, save and end it with a `UserError`."""
        if self._caught is not None:
            name, self._caught = signal.Signals(self._caught).name, None
            saved = self._save(training, done)
            after = "its state is saved, run again to continue" if saved else "run again"
            raise UserError(f"stopped by {name} after step {done} of {steps}; {after}")
        if done < steps and time.monotonic() >= self._due:
            self._save(training, done)

    def remove(self) -> None:
        """Remove the state, and what a killed process left of one; for when the output is there."""
        for path in (self.path, *self.path.parent.glob(f".{self.path.name}.*.partial")):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _save(self, training: TrainingState, done: int) -> bool:
        """Write the state; a full disk does not stop the run."""
        start = time.monotonic()
        state = {
            "run": self._run,
            "done": done,
            "model": training.model.state_dict(),
            "optimizer": training.optimizer.state_dict(),
            "generators": [generator.get_state() for generator in training.generators],
        }
        failure = ""
        try:
            with replacing(self.path) as partial:
                torch.save(state, partial)
        except (UserError, OSError, RuntimeError) as error:
            failure, *_ = str(error).splitlines()
            print(f"the state is not saved: {failure}")
        now = time.monotonic()
        self._due = now + max(SECONDS, RATIO * (now - start))
        return not failure
