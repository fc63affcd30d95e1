"""Draw a figure of a study, and write the numbers that it shows."""

from negmerge.files import read_json, write_text
from negmerge.jobs.job import job
from negmerge.reporting.figures import draw
from negmerge.reporting.heatmaps import read_heatmaps
from negmerge.reporting.records import read_record
from negmerge.reporting.style import save
from negmerge.reporting.sweeps import read_sweeps

with job(snakemake):
    inputs, output = snakemake.input, snakemake.output
    picture, data = draw(
        snakemake.params.figure,
        sweeps=read_sweeps(inputs.sweeps) if inputs.get("sweeps") else None,
        selected=[read_record(path) for path in inputs.get("selected", [])],
        scores=[read_record(path) for path in inputs.get("scores", [])],
        heatmaps=[read_heatmaps(path) for path in inputs.get("gradcam", [])],
        coordinates=[
            read_json(path, keys=("experiment", "task")) for path in inputs.get("signs", [])
        ],
    )
    write_text(output.csv, data.to_csv(index=False, na_rep="NA", lineterminator="\n"))
    save(picture, output.png)
    save(picture, output.pdf)
