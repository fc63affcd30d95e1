"""Draw a figure of a study, and write the numbers that it shows."""

from negmerge.files import read_json, write_text
from negmerge.job import job
from negmerge.reporting.figures import draw
from negmerge.reporting.style import save
from negmerge.reporting.sweeps import read_sweeps

with job(snakemake):
    inputs, output = snakemake.input, snakemake.output
    selected = [read_json(path) for path in inputs.selected]
    picture, data = draw(snakemake.params.figure, read_sweeps(inputs.sweeps), selected)
    write_text(output.csv, data.to_csv(index=False, na_rep="NA", lineterminator="\n"))
    save(picture, output.png)
    save(picture, output.pdf)
