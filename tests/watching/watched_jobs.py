"""Jobs of a small study, and the files that they leave behind."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from negmerge.jobs.provenance import place_of_record
from negmerge.jobs.snakemake_records import place_of
from negmerge.planning.jobs import Job

FOLDER = Path("results/small")
NOW = 1_800_000_000.0


def job(rule, place, *after, gpu=False, estimate=100.0):
    """A job that makes one file."""
    return Job(
        rule=rule,
        wildcards={"study": "small", "task": place.split("/")[0]},
        threads=1,
        outputs=(str(FOLDER / place),),
        to_do=True,
        estimate_s=estimate,
        minutes=60,
        disk_mb=0,
        gpu=gpu,
        drops=False,
        by_hand=None,
        log=str(FOLDER / "logs" / rule / f"{place}.log"),
        benchmark=str(FOLDER / "benchmarks" / rule / f"{place}.tsv"),
        after=after,
    )


def write(path, text, time):
    """Write a file that is of a time, in seconds before NOW."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (NOW - time, NOW - time))


def log(one, text, before=0.0):
    write(one.log, text, before)


def finish(one, before, took):
    """Leave what a job leaves that began so many seconds ago."""
    record = place_of_record(FOLDER, Path(one.outputs[0]))
    started = datetime.fromtimestamp(NOW - before, UTC).isoformat()
    write(record, json.dumps({"started": started, "seconds": took}), before - took)
    write(one.benchmark, f"s\th:m:s\n{took}\t0:0:0\n", before - took)
    log(one, "done\n", before - took)


def begin(one, before):
    """Leave the note that Snakemake makes of a job that has begun."""
    write(place_of(one.outputs[0], Path(".snakemake/incomplete")), "{}", before)
