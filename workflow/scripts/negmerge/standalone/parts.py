"""Parts of an output's files, each made by a job of its own; the last one puts them together.

The jobs share nothing but the folder beside the output in which finished parts lie, and need no
locks there: a part takes its place by a rename, and so does the output, which each job that finds
all parts finished makes of links to their files.
"""

import json
import math
import os
import reprlib
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import get_type_hints

from blake3 import blake3
from pydantic import TypeAdapter
from tqdm import tqdm

from negmerge import __version__
from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError
from negmerge.files import read_json, write_json, write_text
from negmerge.merging.blocks import Vectors
from negmerge.merging.engine import Method, own_options
from negmerge.merging.pool import Checksums, Pool
from negmerge.settings.checks import Value
from negmerge.standalone.folder import publish, remove, require_replaceable, working
from negmerge.standalone.output import Merge, Target, Tell, complete, make_plan, make_report
from negmerge.standalone.shards import Counts, Plan, Shards

RECORD = "part.json"
# A file is known again by so many pages from all over it.
PAGES, PAGE = 8, 4096


def describe(pool: Pool, **asked: object) -> dict:
    """Return what a job was asked, as JSON has it, so that jobs that differ can be told apart."""
    base, *members = ([_known_by(path) for path in state.files] for state in pool.states)
    described = {"version": __version__, **asked, "base": base, "pool": members}
    return json.loads(json.dumps(described))


def _known_by(path: Path) -> list:
    size, digest = path.stat().st_size, blake3()
    with open(path, "rb") as stream:
        for number in range(PAGES):
            stream.seek(size * number // PAGES)
            digest.update(stream.read(PAGE))
    return [path.name, size, digest.hexdigest()]


def _require_same(before: Mapping, asked: Mapping, where: Path, advice: str) -> None:
    for key, value in asked.items():
        if before.get(key) != value:
            raise UserError(
                f"{where}: was made with {key} {reprlib.repr(before.get(key))}, expected "
                f"{reprlib.repr(value)}; {advice}"
            )


def require_survey(
    method: Method, survey: str | Path | None, number: int | None, count: int | None
) -> None:
    """Check that there is a part of this number, and a survey just where a method needs one."""
    if number is not None and not 0 <= number <= count:
        raise UserError(f"--part {number}/{count}: the last part is {count}/{count}")
    if method.survey is None and (survey is not None or number == 0):
        raise UserError(f"{method.title} needs no survey, so no --survey and no part 0")
    if method.survey is not None and survey is None and number is not None:
        raise UserError(
            f"{method.title} needs numbers of all vectors, which --survey FILE --part 0/{count} "
            "takes; give the same --survey FILE to each part"
        )


def write_survey(
    path: Path,
    asked: Mapping[str, object],
    method: Method,
    settings: Mapping[str, Value],
    vectors: Vectors,
    progress: bool,
) -> None:
    """Write what a method must know of all vectors before it combines the first block."""
    what = f"survey of {method.title}"
    with vectors.workers, tqdm(
        desc=what, unit=" numbers", unit_scale=True, disable=not progress
    ) as bar:  # fmt: skip
        vectors.passed = bar.update
        survey = method.survey(vectors, **own_options(settings))
    # Python's JSON keeps each bit of a number, and infinities too.
    write_text(path, json.dumps({"asked": asked, "survey": survey}) + "\n")


def read_survey(path: Path, asked: Mapping[str, object], method: Method) -> object:
    """Read a survey of the same pool and options, as the type that the method's survey returns."""
    if not path.exists():
        raise UserError(f"{path}: no such survey; --survey {path} --part 0/N takes it")
    stored = read_json(path, ["asked", "survey"])
    _require_same(stored["asked"], asked, path, "take the survey anew")
    return TypeAdapter(get_type_hints(method.survey)["return"]).validate_python(stored["survey"])


def share(plan: Plan, count: int) -> list[list[str]]:
    """Cut the list of files into parts of one file or more, with about as many bytes in each."""
    files = list(plan.files)
    if count > len(files):
        raise UserError(
            f"{count} parts are asked for, but there are {len(files)} files of weights, and a part "
            "has one or more; a smaller --max-shard-size gives more files"
        )
    upto, cuts = [0, *accumulate(map(plan.bytes, files))], [0]
    for part in range(1, count):
        goal, places = upto[-1] * part / count, range(cuts[-1] + 1, len(files) - count + part + 1)
        cuts.append(min(places, key=lambda place: abs(upto[place] - goal)))
    return [files[start:stop] for start, stop in zip(cuts, [*cuts[1:], len(files)], strict=True)]


def share_checksums(pool: Pool, plan: Plan, shares: Sequence[Sequence[str]]) -> list[list[Path]]:
    """Say which part takes the checksums of which inputs: those of which it reads most.

    Where all read about as much of a file, it is the one that has least to read beside its own.
    """
    read: list[Counter[Path]] = [Counter() for _ in shares]
    for counter, files in zip(read, shares, strict=True):
        merged = plan.merged_in(files)
        for state in pool.states:
            if not isinstance(state, StoredState):
                continue
            copied = [name for file in files for name in plan.files[file]]
            for name in copied if state is pool.base else merged:
                if place := state.place(name):
                    numbers = math.prod(state.shape(name))
                    counter[place[0]] += numbers * state.dtype(name).itemsize
    beside, taken = [0] * len(shares), [[] for _ in shares]
    for path in _inputs(pool):
        size = path.stat().st_size
        costs = [
            before + size - counter[path] for before, counter in zip(beside, read, strict=True)
        ]
        part = costs.index(min(costs))
        beside[part] = costs[part]
        taken[part].append(path)
    return taken


def _inputs(pool: Pool) -> list[Path]:
    return list(dict.fromkeys(path for state in pool.states for path in state.files))


def write_part(
    pool: Pool,
    target: Target,
    facts: Mapping[str, object],
    merge: Merge,
    part: tuple[int, int],
    asked: Mapping[str, object],
    *,
    command: str | None = None,
    tell: Tell = lambda line: None,
) -> dict:
    """Write a part of an output, if it is not there yet, and the output where none is missing.

    Returns the report of `unlearn`, or where parts are missing `part`, its `files` and `missing`.
    """
    (number, count), output = part, target.output
    if target.folder is None:
        raise UserError(f"{output}: is one file, which one job writes; a folder is made in parts")
    require_replaceable(output, target.force, _inputs(pool))
    plan = make_plan(pool, target)
    shares = share(plan, count)
    folder = output.with_name(f".{output.name}.parts")
    for record in folder.glob(f"*/{RECORD}"):
        advice = f"give all parts the same command, or remove {folder}"
        _require_same(read_json(record, ["asked"])["asked"], asked, record.parent, advice)
    for line in pool.notes:
        tell(line)
    places = [folder / f"{place}-of-{count}" for place in range(1, count + 1)]
    place, files = places[number - 1], shares[number - 1]
    if not place.exists():
        inputs, wanted = _inputs(pool), share_checksums(pool, plan, shares)[number - 1]
        checksums = Checksums(pool.states, pool.vectors.workers.threads, wanted)
        pool.vectors.done = checksums.follow
        with working(output, folder / f".{place.name}") as content:
            with Shards(plan, files, content, output) as shards, pool.vectors.workers:
                merged = merge(shards.step(target.coefficient), plan.merged_in(files))
                counts = asdict(shards.run(pool.base, merged))
                digests = {inputs.index(path): text for path, text in checksums.known().items()}
            record = {"asked": asked, "counts": counts, "checksums": digests, "command": command}
            write_json(content / RECORD, record)
            os.rename(content, place)
    records = [read_json(path) for other in places if (path := other / RECORD).exists()]
    if len(records) == count:
        pairs = [pair for record in records for pair in record["checksums"].items()]
        inputs = _inputs(pool)
        known = {inputs[int(index)]: digest for index, digest in pairs}
        counts = sum((Counts(**record["counts"]) for record in records), Counts())
        command = records[0]["command"]
        report = make_report(pool, target, facts, known, counts, [], command, tell)
        parts = dict(zip(places, shares, strict=True))
        _put_together(folder / f"whole-{number}", parts, pool, target, plan, report)
        return report
    if not place.exists():  # Another job has published the output meanwhile.
        return read_json(output / "negmerge.json")
    missing = [n for n, other in enumerate(places, 1) if not other.exists()]
    return {"part": [number, count], "files": list(files), "missing": missing}


def _put_together(
    whole: Path,
    parts: Mapping[Path, Sequence[str]],
    pool: Pool,
    target: Target,
    plan: Plan,
    report: dict,
) -> None:
    """Publish an output of finished parts, unless another job does so first."""
    folder, output = whole.parent, target.output
    try:
        remove(whole)
        whole.mkdir()
        for path in (place / file for place, files in parts.items() for file in files):
            try:
                os.link(path, whole / path.name)
            except OSError:  # Not all file systems have links.
                shutil.copyfile(path, whole / path.name)
        complete(whole, pool, target, plan, report)
        if target.force and not _is_published(output, report):
            publish(whole, output)
        else:
            os.rename(whole, output)
    except OSError:
        if not _is_published(output, report):
            raise
    # The parts go all at once, so that no other job finds some of them.
    old = output.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    with suppress(OSError):
        os.rename(folder, old)
    shutil.rmtree(old, ignore_errors=True)


def _is_published(output: Path, report: dict) -> bool:
    with suppress(UserError):
        return read_json(output / "negmerge.json") == json.loads(json.dumps(report))
    return False
