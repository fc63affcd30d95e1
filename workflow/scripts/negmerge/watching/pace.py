"""What a study has taken, against the plan, and when it may end."""

import re
from collections import defaultdict
from collections.abc import Iterable

from negmerge.planning.chains import longest_chain
from negmerge.planning.jobs import Job
from negmerge.planning.plan import UNITS
from negmerge.watching.states import AT_WORK, DONE, Seen, State

# How training and evaluation tell of their progress.
LEFT = re.compile(r"\b(\d+) s left$")


def measure(seen: Seen) -> dict:
    """Compare hours with the plan.

    What is left of a job at work is what its log says, if it does. Else it is the plan's estimate,
    times what the done jobs of the same rule took for theirs, if any is done. As many jobs are
    taken to run side by side as did so far, while any ran, or as do now if that is more; and jobs
    that wait for each other take at least their chain.

    Returns:
        `hours`: by unit, `gpu` or `cpu`, the hours `used`, those `used_by_done` jobs and
        `planned_for_done` ones, and `planned` in all; `left`, hours of jobs; `side_by_side`, how
        many jobs, None if unknown; `hours_to_end`, None if unknown; `ends`, in seconds since 1970,
        None if nothing is at work.
    """
    states = seen.states
    done = [job for job, state in states.items() if state.is_now == DONE and state.took is not None]
    ratio = _ratios(seen, done)
    left = {
        job: _left(state, ratio.get(job.rule, 1.0) * job.estimate_s)
        for job, state in states.items()
        if state.is_now != DONE
    }
    width = _side_by_side(seen)
    chain = sum(left[job] for job in longest_chain(left, left.__getitem__))
    to_end = max(sum(left.values()) / width, chain) / 3600 if width else None
    is_running = any(state.is_now == AT_WORK for state in states.values())
    return {
        "hours": {unit: _hours(seen, unit) for unit in UNITS},
        "left": sum(left.values()) / 3600,
        "side_by_side": width,
        "hours_to_end": to_end if left else 0.0,
        "ends": seen.newest + 3600 * to_end if is_running and to_end is not None else None,
    }


def _hours(seen: Seen, unit: str) -> dict[str, float]:
    jobs = [job for job in seen.states if job.gpu == (unit == "gpu")]
    known = [job for job in jobs if seen.states[job].took is not None]
    done = [job for job in known if seen.states[job].is_now == DONE]
    return {
        "used": sum(seen.states[job].took for job in known) / 3600,
        "used_by_done": sum(seen.states[job].took for job in done) / 3600,
        "planned_for_done": sum(job.estimate_s for job in done) / 3600,
        "planned": sum(job.estimate_s for job in jobs) / 3600,
    }


def _ratios(seen: Seen, done: Iterable[Job]) -> dict[str, float]:
    """Return, by rule, what jobs took for what was planned."""
    took: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for job in done:
        took[job.rule][0] += seen.states[job].took
        took[job.rule][1] += job.estimate_s
    return {rule: spent / planned for rule, (spent, planned) in took.items() if planned}


def _left(state: State, expected: float) -> float:
    """Return the seconds that a job still takes, which takes the expected ones in all."""
    if state.is_now == AT_WORK and (said := LEFT.search(state.line)):
        return float(said[1])
    return max(0.0, expected - (state.took or 0))


def _side_by_side(seen: Seen) -> float | None:
    """Return how many jobs run at once; None if no job has written anything yet."""
    working = [state for state in seen.states.values() if state.is_now == AT_WORK and state.line]
    spans = [(s.began, s.took) for s in seen.states.values() if s.began and s.took is not None]
    busy, end = 0.0, 0.0
    for began, took in sorted(spans):
        busy += max(0.0, began + took - max(began, end))
        end = max(end, began + took)
    before = sum(took for _, took in spans) / busy if busy else 0.0
    return max(before, len(working)) or None
