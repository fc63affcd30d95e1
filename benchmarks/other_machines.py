"""Run the tests as other machines would: other vector instructions, other seeds, other choices.

    python benchmarks/other_machines.py [CASE ...] [--tests PATH ...]

Rounding differs between processors, so a study may choose another model, or leave the base alone,
wherever its tests run. Each case runs in a copy of the checkout; without names, all of them do.
The tests are those that train, unless some are named.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STUDIES = ("tests/tiny.yaml", "tests/tiny_language.yaml")
# Tests of these studies, and of others that train.
TESTS = [
    f"tests/workflow/test_{name}.py"
    for name in (
        "runs", "classifier_runs", "language_runs", "durability_runs", "diverged_points",
        "pruned_search", "kept_files", "recomputed_numbers", "given_models",
    )
]  # fmt: skip
OTHERS = ["tests/studies/test_own_classifier.py", "tests/studies/test_own_language_model.py"]
# The kernels of torch, of its BLAS and of its convolutions, which choose theirs apart.
OLDER = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
OLDEST = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
BLAS = {"MKL_ENABLE_INSTRUCTIONS": "AVX2"}
# A case: what it sets in the environment, and what in the studies.
CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "as-it-is": ({}, {}),
    "avx2": (OLDER | BLAS, {}),
    "default": (OLDEST | BLAS, {}),
    "seed-1": ({}, {"seed": "1"}),
    "seed-2": ({}, {"seed": "2"}),
    "seed-4": ({}, {"seed": "4"}),
    # Hardly any coefficient keeps all, and any keeps next to nothing: the ends of the grid.
    "keep-all": ({}, {"keep": "1.0"}),
    "keep-little": ({}, {"keep": "0.01"}),
}


def copy_checkout(folder: Path) -> None:
    """Copy what git knows of: the workflow without any result."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if os.path.lexists(ROOT / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)


def change_studies(folder: Path, settings: dict[str, str]) -> None:
    """Change settings of the small studies in a copy of the checkout."""
    for place in STUDIES:
        text = (folder / place).read_text()
        for key, value in settings.items():
            text, count = re.subn(rf"\b{key}: [\d.]+", f"{key}: {value}", text)
            if not count:
                sys.exit(f"error: {place}: no key {key!r} to set")
        (folder / place).write_text(text)


def passes(case: str, tests: list[str] | None) -> bool:
    """Run the tests in one case, and show how they end."""
    environment, settings = CASES[case]
    tests = tests or (TESTS if settings else TESTS + OTHERS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "checkout"
        copy_checkout(folder)
        change_studies(folder, settings)
        print(f"== {case}", flush=True)
        library = {"PYTHONPATH": str(folder / "workflow" / "scripts")}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *tests]
        run = subprocess.run(command, cwd=folder, env=os.environ | library | environment)
    return run.returncode == 0


def main() -> None:
    """Run the cases, and name those that failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--tests", nargs="+", metavar="PATH")
    chosen = parser.parse_args()
    for case in chosen.cases:
        if case not in CASES:
            parser.error(f"unknown case {case!r}; there are {', '.join(CASES)}")
    failed = [case for case in chosen.cases or CASES if not passes(case, chosen.tests)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
