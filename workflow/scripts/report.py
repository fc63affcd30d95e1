"""Put the tables, figures, choices and run times of a study into one HTML file."""

from pathlib import Path

from negmerge.files import write_text
from negmerge.jobs.job import job
from negmerge.reporting.report import report

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    # Every job whose output the report rests on has left its times here.
    times = Path(snakemake.output.html).parent.glob("benchmarks/**/*.tsv")
    page = report(
        params.name,
        params.study,
        params.pool_sizes,
        tables=inputs.get("tables", []),
        figures=inputs.get("figures", []),
        selected=inputs.get("selected", []),
        benchmarks=[*inputs.prepared, *sorted(map(str, times))],
        drawing=Path(inputs.drawing).read_text(),
    )
    write_text(snakemake.output.html, page)
