"""A plan as people read it."""

import os
from collections.abc import Iterator, Sequence

from negmerge.standalone.text_table import aligned

UNITS = {"gpu": "GPU h", "cpu": "CPU h"}


def describe(plan: dict) -> Iterator[str]:
    """Print a plan: steps, totals, disk, downloads, and what is not known."""
    margin, start = (plan["limit"][key]["value"] for key in ("margin", "start"))
    yield f"{plan['study']}: {', '.join(plan['targets'])}"
    yield (
        "Hours are rough estimates, from config/costs.yaml. A job may take "
        f"{margin:g} times its estimate, and {start:g} minutes."
    )
    for device, rates in plan["measured"].items():
        yield f"Measured here, on {device}, in place of what it says of networks:"
        for name, rate in rates.items():
            speed = f"{number(rate['train'])} images a second in training"
            yield f"  {name}: {speed}, {number(rate['evaluate'])} in evaluation"
    yield ""
    rows = [["step", "jobs", "to do", "hours", "", "limits", "longest", "GB"]]
    for step in plan["steps"]:
        hours = step["hours"]
        row = [step["rule"], f"{step['jobs']:,}", f"{step['to_do']:,}", number(hours["estimate"])]
        row += [UNITS[step["unit"]], number(hours["at_most"]), number(step["longest_limit"])]
        rows.append([*row, number(step["gigabytes"])])
    yield from aligned(rows)
    yield ""
    titles = {one["name"]: one["title"] for one in plan["machines"]}
    for unit, device in (("gpu", "cuda"), ("cpu", "cpu")):
        if plan["hours"][unit]["estimate"]:
            yield f"{UNITS[unit]} to do: {_both(plan['hours'][unit])}, on {titles[device]}"
    for cores, hours in plan["cores"].items():
        yield f"On {cores} cores together: {number(hours)} h"
    chain = plan["chain"]
    if chain["jobs"]:
        yield f"Longest chain, with a machine for every job: {_both(chain['hours'])}:"
        yield f"  {' -> '.join(chain['jobs'])}"
    if plan["done"]["jobs"]:
        yield f"Took so far: {number(plan['done']['hours'])} h for {plan['done']['jobs']:,} jobs"
    yield from _sizes(plan)
    yield from _gpu_memory(plan["gpu_memory"])
    if not plan["cores"]:
        yield from _machines(plan["machines"])
    yield from _exhibits(plan)


def _gpu_memory(most: dict[str, dict]) -> Iterator[str]:
    """Say what memory a GPU should have, and what to set where it has less."""
    if most:
        yield ""
        yield "Memory of a GPU that one job needs at most, a rough estimate in float32:"
        for name, one in most.items():
            yield f"  {name}: {number(one['gigabytes'])} GB ({one['rule']})"
        yield (
            "On a smaller GPU halve `batch_size` and double `grad_accum_steps` of what trains, and "
            "lower `eval_batch_size` for the other steps."
        )


def _machines(machines: Sequence[dict]) -> Iterator[str]:
    """Compare the machines of `config/costs.yaml`."""
    yield ""
    yield "All jobs one after the other on one machine, in hours:"
    rows = [["machine", "float32", "compute: fast"]]
    for one in machines:
        fast = "-" if one["fast"] is None else number(one["fast"])
        rows.append([one["title"], number(one["hours"]), fast])
    yield from aligned(rows)


def _exhibits(plan: dict) -> Iterator[str]:
    """Show what each table and figure takes, and what binds it."""
    if not plan["exhibits"]:
        return
    unit = UNITS["cpu" if plan["cores"] else "gpu"]
    yield ""
    yield (
        "Each table and figure by itself, and what most of its hours are spent on. They share "
        "jobs, so hours do not add up:"
    )
    rows = [["name", "jobs", unit, "binds", "fast", "binds", "GB to fetch", "to write"]]
    for one in plan["exhibits"]:
        row = [one["name"], f"{one['jobs']:,}", number(one["hours"]), one["binds"]]
        fast = one["fast_hours"] is not None
        row += [number(one["fast_hours"]), one["fast_binds"]] if fast else ["-", "-"]
        rows.append([*row, number(one["fetch"]), number(one["write"])])
    yield from aligned(rows)


def _sizes(plan: dict) -> Iterator[str]:
    disk, fetch = plan["disk"], plan["fetch"]
    line = f"Disk: {number(disk['gigabytes'])} GB to write"
    if disk["dropped"]:
        line += (
            f", of which {number(disk['dropped'])} GB are deleted as soon as no job needs them "
            "(`checkpoints: needed`)"
        )
    yield line
    if fetch:
        yield f"To fetch: {len(fetch)} files, {number(sum(fetch.values()))} GB"
    for folder in dict.fromkeys(map(os.path.dirname, fetch)):
        sizes = [size for place, size in fetch.items() if os.path.dirname(place) == folder]
        yield f"  {folder}: {len(sizes)} files, {number(sum(sizes))} GB"
    for place, how in plan["by_hand"].items():
        yield f"by hand: {place}: {how}"
    if plan["missing"]:
        yield f"by hand: {plan['missing']}"
    if plan["unknown"]:
        yield f"Of unknown size, assumed large: {', '.join(plan['unknown'])}"


def _both(hours: dict) -> str:
    return f"{number(hours['estimate'])}, limits {number(hours['at_most'])}"


def number(value: float) -> str:
    """Show two or three digits: no estimate has more."""
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    if value < 0.01:
        return "< 0.01"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
