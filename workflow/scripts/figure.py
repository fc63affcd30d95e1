"""Draw a figure of a study, and write the numbers that it shows."""

from negmerge.files import write_text
from negmerge.jobs.job import job
from negmerge.reporting.kinds import figure_kind
from negmerge.reporting.style import save, settings

with job(snakemake):
    figure, output = snakemake.params.figure, snakemake.output
    with settings():
        picture, data = figure_kind(figure["kind"]).draw(figure, **dict(snakemake.input.items()))
    write_text(output.csv, data.to_csv(index=False, na_rep="NA", lineterminator="\n"))
    save(picture, output.png)
    save(picture, output.pdf)
