"""The status of a study: what is done, at work and failed, its pace, and what to look at."""

from pathlib import Path

from negmerge.planning.jobs import Job, require_workflow
from negmerge.planning.known_jobs import known_jobs
from negmerge.planning.plan import REPORT, targets
from negmerge.settings.study import load_study
from negmerge.watching.pace import measure
from negmerge.watching.states import AT_WORK, DONE, FAILED, STOPPED, WAITING, Seen, State, look
from negmerge.watching.warnings import warnings

STATES = (DONE, AT_WORK, FAILED, STOPPED, WAITING)


def status(name: str, config: str | Path = "config") -> dict:
    """Tell how far a study is, from its files; nothing is run, and a run is not disturbed.

    Args:
        name: the study's name.
        config: the configuration folder.

    Returns:
        `study`, `title`, `jobs`, their number; `newest`, when the newest file was written, in
        seconds since 1970; `states`: their numbers by state; `steps`: these by rule; `at_work`,
        `failed`, `stopped`: jobs with the last line of the log; `pace`, see `pace.measure`;
        `warnings`; `report`, whether it is there.

    Raises:
        UserError: a mistake in a name or a file, or what Snakemake says is wrong.
    """
    require_workflow()
    study = load_study(config, name, options=False)
    files = targets(study, name, REPORT)
    seen = look(known_jobs(name, files))
    return {
        "study": name,
        "title": study.title,
        "jobs": len(seen.states),
        "newest": seen.newest,
        "states": {word: len(seen.of(word)) for word in STATES},
        "steps": _steps(seen),
        "at_work": [_told(job, seen.states[job], seen.newest) for job in seen.of(AT_WORK)],
        "failed": [_told(job, seen.states[job], seen.newest) for job in seen.of(FAILED)],
        "stopped": [_told(job, seen.states[job], seen.newest) for job in seen.of(STOPPED)],
        "pace": measure(seen),
        "warnings": warnings(seen.of(DONE)),
        "report": files[0] if Path(files[0]).is_file() else None,
    }


def _steps(seen: Seen) -> list[dict]:
    """Count jobs by rule, in the order of the way to the report."""
    found: dict[str, dict] = {}
    for job, state in seen.states.items():
        step = found.setdefault(
            job.rule, {"rule": job.rule, "jobs": 0, "used": 0.0, "planned": 0.0}
        )
        step["jobs"] += 1
        step[state.is_now] = step.get(state.is_now, 0) + 1
        step["used"] += (state.took or 0) / 3600
        step["planned"] += job.estimate_s / 3600
    return [dict.fromkeys(STATES, 0) | step for step in found.values()]


def _told(job: Job, state: State, newest: float) -> dict:
    """Tell of a job that is not done: what it is, since when, the end of its log and its place."""
    return {
        "job": ", ".join([job.rule, *(v for k, v in job.wildcards.items() if k != "study")]),
        "seconds": newest - state.began if state.began else None,
        "line": state.line,
        "log": job.log,
    }
