"""Continuing an interrupted training run: it ends with the bytes of an undisturbed one."""

import hashlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from negmerge.checkpoints.states import read_metadata, read_state, write_state
from negmerge.errors import UserError
from negmerge.jobs.snapshots import content_digest, put_back, snapshot
from negmerge.jobs.versions import version
from negmerge.training import TrainingState

# The least seconds from the start, or from the last state, to the next state. Short runs save
# none; a long one that is killed without a signal loses as much.
SECONDS = 300.0
# And at least this many times what saving the last one took: saving takes 1/41 of a run.
RATIO = 40.0
# What a scheduler sends before it kills a job, and what Ctrl-C does.
SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Another version of these may load, change or add up images in another way.
PACKAGES = (
    "torch", "torchvision", "timm", "open_clip_torch", "numpy", "pillow", "transformers", "peft",
)  # fmt: skip


def state_path(output: str | Path) -> Path:
    """Return the place of the saved state of the job that makes `output`: a hidden file beside it.

    It is not an output of a rule: Snakemake deletes these when a job fails and before it runs.
    """
    output = Path(output)
    return output.with_name(f".{output.stem}.state.safetensors")


class SavedState:
    """The saved state of one training run.

    Args:
        path: where it is kept; see `state_path`.
        run: gives all that decides the run, as JSON values. A state of another run is not used. It
            is asked once, when a state is saved or found.
        seconds: the least time between two states.
        report: takes a line on each thing that happens.

    It is a safetensors file with all of `snapshots.snapshot`; its header holds the steps that are
    done, a digest of `run`, and one of the tensors.
    """

    def __init__(
        self,
        path: str | Path,
        run: Callable[[], object],
        seconds: float = SECONDS,
        report: Callable[[str], None] = print,
    ):
        self.path = Path(path)
        self._run = run
        self._seconds, self._report = seconds, report
        self._due = time.monotonic() + seconds
        self._caught: int | None = None

    @classmethod
    def of_job(cls, snakemake: Any, inputs: Callable[[], object]) -> "SavedState":
        """Return the saved state of a job: params, inputs and versions decide its run.

        A run may continue on another machine; its last bits then depend on both.

        Args:
            snakemake: the object that Snakemake gives to scripts.
            inputs: gives the checksums of the job's inputs; see `provenance.Provenance.made_from`.
        """

        def run() -> dict:
            return {
                "params": dict(snakemake.params.items()),
                "inputs": inputs(),
                "versions": {name: version(name) for name in PACKAGES},
            }

        return cls(state_path(snakemake.output[0]), run)

    def restore(self, training: TrainingState, steps: int) -> int:
        """Bring a run of `steps` steps back to where it was saved, if the state can be used.

        A state that is damaged or of another run is not used, and a line says why.

        Returns:
            How many steps are done.
        """
        if not self.path.exists():
            return 0
        try:
            done = self._read(training, steps)
        except UserError as error:
            self._report(f"the saved state is not used, training starts anew: {error}")
            return 0
        self._report(f"continuing after step {done} of {steps}, saved in {self.path}")
        return done

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note the first of `SIGNALS`, for `after_step`; a second one acts as it did before."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}

        def put_back_handlers() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def note(number: int, frame: object) -> None:
            self._caught = number
            put_back_handlers()

        self._caught = None
        for number in SIGNALS:
            signal.signal(number, note)
        try:
            yield
        finally:
            put_back_handlers()
        # One that came after the last step.
        if self._caught is not None:
            signal.raise_signal(self._caught)

    def after_step(self, training: TrainingState, done: int, steps: int) -> None:
        """Save the run if it is time to, or if a signal came.

        Args:
            training: the run.
            done: how many steps are done.
            steps: how many there are in all.

        Raises:
            UserError: after a signal; it says whether the run can continue.
        """
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

    @cached_property
    def _fingerprint(self) -> str:
        """The digest of what decides the run."""
        text = json.dumps(self._run(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _read(self, training: TrainingState, steps: int) -> int:
        header = read_metadata(self.path)
        if not isinstance(header, dict) or header.get("run") != self._fingerprint:
            raise UserError(f"{self.path}: it belongs to another run")
        done = header.get("done")
        if type(done) is not int or not 0 < done <= steps:
            raise UserError(f"{self.path}: {done!r} steps done, expected 1 to {steps}")
        state = read_state(self.path)
        if content_digest(state) != header.get("content"):
            raise UserError(f"{self.path}: its numbers are not those that were saved")
        put_back(training, state, self.path)
        return done

    def _save(self, training: TrainingState, done: int) -> bool:
        """Write the state; a full disk does not stop the run."""
        start = time.monotonic()
        try:
            state = snapshot(training)
            header = {"done": done, "run": self._fingerprint, "content": content_digest(state)}
            write_state(self.path, state, header)
            saved = True
        except (UserError, OSError, SafetensorError) as error:
            self._report(f"the state is not saved: {error}")
            saved = False
        now = time.monotonic()
        self._due = now + max(self._seconds, RATIO * (now - start))
        return saved
