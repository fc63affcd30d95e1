"""Make a table of a study: its cells for programs, and two forms for people."""

from negmerge.evaluation.outcomes import read_outcomes
from negmerge.files import write_text
from negmerge.jobs.job import job
from negmerge.reporting.cells import read_published, write_cells
from negmerge.reporting.kinds import table_kind
from negmerge.reporting.layout import latex, layout, markdown

with job(snakemake):
    inputs, output, table = snakemake.input, snakemake.output, snakemake.params.table
    kind = table_kind(table["kind"])
    frame = kind.cells(
        table,
        kind.read(inputs.records),
        read_published(inputs.published),
        [one for path in inputs.outcomes for one in read_outcomes(path)],
    )
    write_cells(output.csv, frame)
    printed = layout(table, frame)
    write_text(output.md, markdown(printed))
    write_text(output.tex, latex(printed))
