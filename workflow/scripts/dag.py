"""Ask Snakemake for the graph of the rules that make a study's report."""

import subprocess
import sys
from pathlib import Path

from negmerge.files import write_text
from negmerge.jobs.job import job

with job(snakemake):
    dag = Path(snakemake.output.dag)
    report = str(dag.with_name("report.html"))
    command = [sys.executable, "-m", "snakemake", "--snakefile", snakemake.params.snakefile]
    graph = subprocess.run(
        [*command, "--rulegraph", "mermaid-js", "--", report],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    write_text(dag, graph.stdout)
