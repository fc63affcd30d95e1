"""Curves of trainings for TensorBoard or MLflow: the setting `curves`, which is off by default."""

from collections.abc import Callable, Mapping
from pathlib import Path

from negmerge.errors import UserError

KINDS = ("tensorboard", "mlflow")
# What a job has chosen: the kind, the folder of the study's results, and the job's name.
_chosen: tuple[str, Path, str] | None = None
_begun = 0


def choose(kind: str | None, log: Path) -> None:
    """Choose where the trainings of this process draw their curves, by the log of its job."""
    global _chosen, _begun
    if kind not in (None, *KINDS):
        raise UserError(f"curves: {kind}; expected {' or '.join(KINDS)}")
    _chosen, _begun = None, 0
    if kind:
        (study,) = (place.parent for place in log.parents if place.name == "logs")
        _chosen = kind, study, str(log.relative_to(study / "logs").with_suffix(""))


def begin() -> Callable[[int, Mapping[str, float]], None] | None:
    """Return what takes a training's step, from 1 on, and numbers there; None without curves.

    TensorBoard's lie in the folder `tensorboard` of the study's results. MLflow's lie where its own
    variable MLFLOW_TRACKING_URI says, in an experiment of the study's name. A second training of a
    job has a 2 behind the job's name.
    """
    global _begun
    if _chosen is None:
        return None
    kind, study, name = _chosen
    _begun += 1
    name += f"-{_begun}" if _begun > 1 else ""
    try:
        if kind == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter
        else:
            import mlflow
    except ModuleNotFoundError:
        raise UserError(f"curves: {kind} is not installed: pip install {kind}") from None
    if kind == "mlflow":
        mlflow.end_run()
        mlflow.set_experiment(study.name)
        mlflow.start_run(run_name=name)
        return lambda step, numbers: mlflow.log_metrics(dict(numbers), step=step)
    writer = SummaryWriter(str(study / "tensorboard" / name))

    def write(step: int, numbers: Mapping[str, float]) -> None:
        for label, number in numbers.items():
            writer.add_scalar(label, number, step)
        writer.flush()

    return write
