"""Jobs without Snakemake: the object that it gives to scripts, for a workflow of three steps."""

import time
from pathlib import Path
from types import SimpleNamespace

from negmerge.jobs.provenance import Provenance

STUDY = "results/small"
IMAGES = "data/cats/images.safetensors"
BASE, TEXT = f"{STUDY}/clip/base.safetensors", f"{STUDY}/clip/text.safetensors"
SCORE = f"{STUDY}/clip/cats/scores/best.json"
LIST = "config/list.csv"


class Named(list):
    """Paths or values, some by name, as Snakemake holds them."""

    def __init__(self, **entries):
        flat = []
        for value in entries.values():
            flat += value if isinstance(value, list) else [value]
        super().__init__(flat)
        self.entries = entries
        self.items, self.get = entries.items, entries.get


def example_job(rule, log, outputs, **inputs):
    """The job of a rule that makes files from named inputs."""
    return SimpleNamespace(
        rule=rule,
        log=[log],
        input=Named(**inputs),
        output=Named(made=outputs),
        params=Named(seed=7, code="abc"),
        resources={"gpu": 0},
        wildcards=Named(study="small", experiment="clip"),
        config={"checkpoints": "all"},
        threads=1,
    )


PREPARE = example_job("prepare", "data/logs/prepare/cats.log", [IMAGES])
BASES = example_job("base", f"{STUDY}/logs/base/clip.log", [BASE, TEXT], data=[IMAGES])
SCORES = example_job(
    "score", f"{STUDY}/logs/score/best.log", [SCORE], images=IMAGES, base=BASE, given=[LIST]
)


def write(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(job, text="made: "):
    """Do what `job.job` does around a step."""
    provenance = Provenance(job)
    provenance.begin()
    for output in job.output:
        write(output, text + output)
    provenance.write()


def run_all():
    write(LIST, "1,2\n")
    for job in (PREPARE, BASES, SCORES):
        run(job)


def change(path, old, new):
    """Change a file as a person does, who cannot keep its time stamp."""
    text = Path(path).read_text()
    assert old in text
    time.sleep(0.002)
    Path(path).write_text(text.replace(old, new))
