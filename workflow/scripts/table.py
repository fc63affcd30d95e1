"""Make a table of a study: its cells for programs, and two forms for people."""

from negmerge.evaluation.outcomes import read_outcomes
from negmerge.files import write_text
from negmerge.jobs.job import job
from negmerge.reporting.coefficients import read_points, sweep_cells
from negmerge.reporting.costs import read_cost
from negmerge.reporting.layout import layout
from negmerge.reporting.mask import join
from negmerge.reporting.published import read_published
from negmerge.reporting.records import read_record
from negmerge.reporting.tables import cells, write_cells
from negmerge.reporting.writing import latex, markdown

with job(snakemake):
    inputs, output, table = snakemake.input, snakemake.output, snakemake.params.table
    published = read_published(inputs.get("published", []))
    if table["kind"] == "sweep":
        points = [point for path in inputs.records for point in read_points(path)]
        frame = sweep_cells(table, points, published)
    else:
        read = read_cost if table["kind"] == "cost" else read_record
        records = [read(path) for path in inputs.records]
        records = join(records) if table["kind"] == "mask" else records
        outcomes = map(read_outcomes, inputs.get("outcomes", []))
        frame = cells(table, records, published, outcomes)
    write_cells(output.csv, frame)
    printed = layout(table, frame)
    write_text(output.md, markdown(printed))
    write_text(output.tex, latex(printed))
