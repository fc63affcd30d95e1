"""Put the findings, tables, figures, choices and run times of a study into one HTML file."""

from pathlib import Path

from negmerge.files import write_text
from negmerge.jobs.job import job
from negmerge.reporting.findings import findings, summary
from negmerge.reporting.report import read_tables, report

with job(snakemake):
    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    tables = read_tables(params.study, inputs.get("tables", []))
    found = findings(params.study, tables)
    # Every job whose output the report rests on has left its times here.
    times = Path(output.html).parent.glob("benchmarks/**/*.tsv")
    page = report(
        params.name,
        params.study,
        params.pool_sizes,
        found,
        tables,
        params.files,
        figures=inputs.get("figures", []),
        selected=inputs.get("selected", []),
        benchmarks=[*inputs.prepared, *sorted(map(str, times))],
        drawing=Path(inputs.drawing).read_text(),
    )
    write_text(output.html, page)
    write_text(output.summary, summary(found))
