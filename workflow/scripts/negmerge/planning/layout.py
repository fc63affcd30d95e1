"""A plan as lines for people."""

from collections.abc import Iterator, Sequence

UNITS = {"gpu": "GPU h", "cpu": "CPU h"}
UNKNOWN = "unknown"


def describe(plan: dict) -> Iterator[str]:
    """Print a plan: steps, totals, downloads, disk, and what all of it rests on."""
    yield f"{plan['study']}: {', '.join(plan['targets'])}"
    yield "Estimates, perhaps several times too low or too high; what they rest on stands below."
    yield ""
    yield from _table(_step_rows(plan["steps"]))
    yield ""
    yield from _totals(plan)
    yield ""
    yield from _downloads(plan)
    yield ""
    yield from _disk(plan)
    yield ""
    yield from _basis(plan)


def _step_rows(steps: Sequence[dict]) -> list[list[str]]:
    measured = any(step["measured"] for step in steps)
    head = ["step", "jobs", "to do", "s a job", "hours", "to do", ""]
    head += ["measured", "s a job", "hours", "assumed", "MB at most"] if measured else []
    rows = [head]
    for step in steps:
        unit = UNITS[step["unit"]]
        row = [step["rule"], f"{step['jobs']:,}", f"{step['to_do']:,}", _span(step)]
        row += [_hours(step["hours_all"], step), _hours(step["hours_to_do"], step), unit]
        if measured:
            row += _measured(step["measured"])
        rows.append(row)
    return rows


def _measured(found: dict | None) -> list[str]:
    if found is None:
        return ["0", "", "", "", ""]
    memory = "" if found["memory_mb"] is None else f"{found['memory_mb']:,.0f}"
    assumed = found["assumed_hours"]
    shown = UNKNOWN if assumed is None else _number(assumed)
    mean = _number(found["seconds_mean"])
    return [f"{found['jobs']:,}", mean, _number(found["hours"]), shown, memory]


def _span(step: dict) -> str:
    least, most = step["seconds_least"], step["seconds_most"]
    if least is None:
        return UNKNOWN
    low, high = _number(least), _number(most)
    return low if low == high else f"{low} to {high}"


def _hours(hours: float, step: dict) -> str:
    """Show hours, with a sign where jobs of unknown time are left out."""
    if step["unknown"] == step["jobs"]:
        return UNKNOWN
    return f"{'> ' if step['unknown'] else ''}{_number(hours)}"


def _totals(plan: dict) -> Iterator[str]:
    for unit, name in UNITS.items():
        hours = plan["hours"][unit]
        if hours["all"]:
            taken = f"; measured {_number(hours['measured'])}" if hours["measured"] else ""
            yield f"{name}: {_number(hours['all'])}, to do {_number(hours['to_do'])}{taken}"
    grids = plan["grids"]
    if grids["jobs"]:
        yield (
            f"Of it for grids of methods that train: {_number(grids['hours'])} h, since "
            f"{grids['jobs']:,} jobs train up to {grids['models']:,} models instead of one each."
        )
    unknown = sum(step["unknown"] for step in plan["steps"])
    if unknown:
        yield f"Not in these sums: {unknown} jobs of unknown time."
    chain = plan["chain"]
    if chain["jobs"]:
        yield (
            f"Longest chain to do, with a machine for every job: "
            f"{_number(chain['seconds'] / 3600)} h: {' -> '.join(chain['jobs'])}"
        )


def _downloads(plan: dict) -> Iterator[str]:
    rows = [["to fetch", "files", "missing", "GB missing", "by hand"]]
    for row in plan["downloads"]:
        size = _size(row["bytes"], row["unknown"], row["missing"])
        hand = str(len(row["by_hand"]) or "")
        rows.append([row["dataset"], str(row["files"]), str(row["missing"]), size, hand])
    for model, size in plan["weights"].items():
        rows.append([f"weights of {model}", "", "", f"{_size(size, 0)} (as float32)", ""])
    if len(rows) == 1:
        yield "Nothing to fetch."
        return
    yield from _table(rows)
    for row in plan["downloads"]:
        for place, how in row["by_hand"].items():
            yield f"by hand: {place}: {how}"


def _disk(plan: dict) -> Iterator[str]:
    rows = [["disk", "files", "GB", "GB there"]]
    for row in plan["disk"]:
        size = _size(row["bytes"], row["unknown"], row["files"])
        rows.append([row["kind"], f"{row['files']:,}", size, _size(row["there"], 0)])
    yield from _table(rows)
    yield _peak(plan["peak"], any(row["unknown"] for row in plan["disk"]))


def _peak(peak: dict, some_unknown: bool) -> str:
    """Say how much disk it takes at the end and at the peak, and why these differ."""
    known = "more than " if some_unknown else ""
    end, most = f"{known}{_size(peak['end'], 0)} GB", UNKNOWN
    if peak["spool"] is not None:
        most = f"{known}{_size(peak['end'] + peak['dropped'] + peak['spool'], 0)} GB"
    copy = "preparing a data set keeps a second copy of it for a while."
    if not peak["dropped"]:
        return f"At the end {end}. At peak {most}: the workflow deletes nothing, and {copy}"
    least = f"{known}{_size(peak['end'] + peak['pool'], 0)} GB"
    return (
        f"At the end {end}. At peak between {least}, since merges need all vectors of a task at "
        f"once, and {most}, if all checkpoints were there together: each goes when no job needs it "
        f"any more (`checkpoints: needed`). Besides, {copy}"
    )


def _basis(plan: dict) -> Iterator[str]:
    yield "What a job's time rests on, with all its images in all jobs:"
    for step in plan["steps"]:
        numbers = ", ".join(f"{kind} {count:,.0f}" for kind, count in step["images"].items())
        basis = "; ".join(step["basis"]) or "unknown rule"
        yield f"  {step['rule']}: {basis}{f' ({numbers})' if numbers else ''}"
    yield ""
    yield "Models, counted from their rows in models.yaml; images per second are assumed:"
    head = ["experiment", "model", "parameters, M", "GFLOP", "trained/s", "passed/s", "loaded/s"]
    rows = [head]
    for one in plan["models"]:
        sizes = [f"{one['parameters'] / 1e6:.3g}", f"{one['gflop']:.3g}"]
        rates = [one["trained_per_s"], one["passed_per_s"], one["loaded_per_s"]]
        rows.append([one["experiment"], one["model"], *sizes, *map(_number, rates)])
    yield from _table(rows)
    yield ""
    yield "Assumptions, from config/costs.yaml:"
    yield from _assumptions(plan["assumptions"], plan["device"])


def _assumptions(assumed: dict, device: str) -> Iterator[str]:
    """List each assumption that is not about a single data set, with its source."""
    shown = {
        f"{name}, {key}": row[key]
        for name, row in assumed["devices"].items()
        if name in (device, "cpu")
        for key in ("flops", "start")
    }
    shown |= {name: assumed[name] for name in ("training", "linear", "pruned")}
    shown |= {f"loading, {name}": row for name, row in assumed["loading"].items()}
    shown |= {name: assumed[name] for name in ("weights", "archives", "network")}
    for name, row in shown.items():
        yield f"  {name}: {row['value']:g} ({row['source']})"
    yield "  bytes of an image by data set: see image_bytes there"


def _size(size: float, unknown: int, files: int = 0) -> str:
    """Show bytes as GB; `unknown` of the files have no known size."""
    if unknown and unknown == files:
        return UNKNOWN
    return f"{'> ' if unknown else ''}{_number(size / 1e9)}"


def _number(value: float) -> str:
    """Show two or three figures: no estimate has more."""
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    if value < 0.01:
        return "< 0.01"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = (cell.ljust(w) if not n else cell.rjust(w)
                          for n, (cell, w) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        yield "  ".join([first, *others]).rstrip()
