"""What Snakemake loads before any job: torch, which methods need, and no larger package."""

import subprocess
import sys

# Snakemake's own plugin for Slurm imports pandas.
LARGE = {"matplotlib", "open_clip", "sklearn", "timm", "torchvision", "transformers"}
PLAN = """
import sys
from snakemake.cli import main
try:
    main(["--dry-run", "--quiet", "all", "--", *sys.argv[1:]])
finally:
    print("loaded:", *sys.modules)
"""


def test_a_dry_run_loads_nothing_that_only_jobs_need(workflow):
    command = [sys.executable, "-c", PLAN, "results/paper/tables/table2.md"]
    done = subprocess.run(command, cwd=workflow, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.rpartition("loaded: ")[2].split())
    assert "negmerge.settings.study" in loaded
    assert not LARGE & loaded
