"""A copy of the workflow with a tiny study, and one in which it has run, for all that need one."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import warm_python

HERE = Path(__file__).parent
ROOT = HERE.parent
# What starts Snakemake, and it its jobs: see warm_python.py.
PYTHON = warm_python.command()
MODEL = {
    "title": "Tiny CLIP",
    "weights": "pretrain",
    "architecture": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 16, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16,
        },
        "text_cfg": {
            "context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1,
        },
    },
    "size": 16,
    "mean": [0.3, 0.3, 0.3],
    "std": [0.3, 0.3, 0.3],
}  # fmt: skip
CLASSIFIER = MODEL | {
    "title": "Tiny ResNet", "architecture": {"kind": "resnet18", "width": 2}, "size": 28
}  # fmt: skip
LANGUAGE_MODEL = {
    "title": "Tiny Llama",
    "weights": "pretrain",
    "architecture": {
        "kind": "llama", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "tie_word_embeddings": True,
    },
    "size": 48,
    "tokenizer": {"kind": "words", "size": 1000},
}  # fmt: skip
AUTHORS = {
    "title": "Few invented authors",
    "source": "authors",
    "files": {"facts": "resources/invented-authors.json"},
    "options": {"seed": 1, "per_author": 5},
    "splits": {"authors": 40, "others": 40, "holdout": 10},
    "licence": "made by the workflow",
}
IMAGES = {"options": {"first": {"train": 200, "test": 50}}, "splits": {"train": 200, "test": 50}}


def add_study(folder: Path, study: str, **rows: dict) -> None:
    """Put a small study into a checkout, and rows to the tables in `config/`, by file."""
    shutil.copy(HERE / f"{study}.yaml", folder / "config" / "studies")
    for name, added in rows.items():
        with open(folder / "config" / f"{name}.yaml", "a") as stream:
            yaml.safe_dump(added, stream)


def add_tiny(folder: Path) -> None:
    """Put the study `tiny` and its models and images into a checkout."""
    fashion = {
        name: yaml.safe_load((folder / "config" / f"{name}.yaml").read_text())["fashion"]
        for name in ("datasets", "prompts")
    }
    add_study(
        folder,
        "tiny",
        models={"tiny-clip": MODEL, "tiny-resnet": CLASSIFIER},
        datasets={"tiny-fashion": fashion["datasets"] | IMAGES},
        prompts={"tiny-fashion": fashion["prompts"]},
    )


def add_tiny_language(folder: Path) -> None:
    """Put the study `tiny_language` with its model and authors into a checkout."""
    rows = {"models": {"tiny-llama": LANGUAGE_MODEL}, "datasets": {"tiny-authors": AUTHORS}}
    add_study(folder, "tiny_language", **rows)


class Checkout:
    """A folder with a copy of the workflow."""

    def __init__(self, folder: Path, python: str = PYTHON):
        self.folder, self.python = folder, python

    def snakemake(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.python, "-m", "snakemake", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **options,
        )

    def make(self, *targets: str) -> list[str]:
        """Make some files, and return the rules of the jobs that ran."""
        run = self.snakemake("--cores", "2", "--", *targets)
        assert run.returncode == 0, run.stdout + run.stderr
        return re.findall(r"^Job \d+: (\w+): ", run.stdout + run.stderr, flags=re.M)

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        """Start Snakemake as the leader of a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **options,
        )

    def planned(self, *targets: str) -> set[str]:
        """The jobs of a dry run by their messages, e.g. `finetune: clip, digits, m1`."""
        run = self.snakemake("--dry-run", "--cores", "2", "--", *targets)
        assert run.returncode == 0, run.stderr
        return set(re.findall(r"^Job \d+: (.*)$", run.stdout + run.stderr, flags=re.M))

    def failure(self, target: str, log: str) -> str:
        """The last line in the log of a job that fails, so that a target is not made."""
        run = self.snakemake("--cores", "1", "--", target)
        assert run.returncode == 1
        assert not (self.folder / target).exists()
        return (self.folder / log).read_text().splitlines()[-1]

    def edit(self, place: str, old: str, new: str) -> None:
        path = self.folder / place
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def copy(self, folder: Path) -> "Checkout":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder, self.python)

    def artefacts(self, study: str = "tiny") -> dict[str, bytes]:
        """The files that must be the same, byte for byte, however a run went."""
        results = self.folder / "results" / study
        settings = yaml.safe_load((self.folder / f"config/studies/{study}.yaml").read_text())
        costs = {name for name, table in settings["tables"].items() if table["kind"] == "cost"}
        kinds = (".safetensors", ".json", ".csv", ".md", ".tex", ".png", ".pdf")
        return {
            str(path.relative_to(results)): path.read_bytes()
            for path in sorted(results.rglob("*"))
            # What a merge took is another time in each run, and records tell the time.
            if path.suffix in kinds
            and path.relative_to(results).parts[0] not in ("benchmarks", "provenance")
            and path.stem not in costs
        }


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Checkout:
    """The workflow with the tiny study, before any run."""
    folder = tmp_path_factory.mktemp("checkout") / "workflow"
    left_out = shutil.ignore_patterns(
        ".git", ".venv*", ".snakemake", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis"
    )

    def ignore(directory, names):
        made = {"data", "results", "build", "dist"}
        top = made | {"tests", "benchmarks"} if directory == str(ROOT) else set()
        return left_out(directory, names) | top

    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignore)
    add_tiny(folder)
    return Checkout(folder)


@pytest.fixture(scope="session")
def finished(checkout, tmp_path_factory) -> Checkout:
    """A copy in which the tiny study has run to its report, once for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    done = shared / "finished"
    with open(shared / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            copy = checkout.copy(tmp_path_factory.mktemp("running") / "workflow")
            copy.make("results/tiny/report.html")
            copy.folder.rename(done)
    return Checkout(done, checkout.python)


@pytest.fixture
def editable(finished, tmp_path) -> Checkout:
    """A copy of the finished run that a test may change."""
    return finished.copy(tmp_path / "workflow")
