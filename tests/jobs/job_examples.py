"""Jobs without Snakemake: the object that it gives to scripts, for a workflow of three steps."""

import time
from pathlib import Path
from types import SimpleNamespace

from negmerge.jobs.provenance import Provenance

STUDY = "results/small"
IMAGES = "data/cats/images.safetensors"
BASE = f"{STUDY}/clip/base.safetensors"
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

    def items(self):
        return self.entries.items()

    def get(self, name, default=None):
        return self.entries.get(name, default)


def example_job(rule, log, output, **inputs):
    """The job of a rule that makes `output`, one file or several, from named inputs."""
    outputs = output if isinstance(output, dict) else {"made": output}
    return SimpleNamespace(
        rule=rule,
        log=[log],
        input=Named(**inputs),
        output=Named(**outputs),
        params=Named(seed=7, code="abc"),
        resources={},
        wildcards=Named(study="small"),
        config={"checkpoints": "all"},
        threads=1,
    )


PREPARE = example_job("prepare", "data/logs/prepare/cats.log", IMAGES)
BASES = example_job(
    "base", f"{STUDY}/logs/base/clip.log", {"base": BASE, "text": BASE.replace("base", "text")},
    data=[IMAGES],
)  # fmt: skip
EVALUATE = example_job(
    "evaluate", f"{STUDY}/logs/evaluate/clip/cats/best.log", SCORE,
    images=IMAGES, base=BASE, given=[LIST],
)  # fmt: skip


def write(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(job, make=lambda output, provenance: write(output, f"made: {output}")):
    """Do what `job.job` does around a step."""
    provenance = Provenance(job)
    provenance.begin()
    for output in job.output:
        make(output, provenance)
    provenance.write()


def change(path, old, new):
    """Change a file as a person does, who cannot keep its time stamp."""
    path = Path(path)
    text = path.read_text()
    assert old in text
    time.sleep(0.002)
    path.write_text(text.replace(old, new))
