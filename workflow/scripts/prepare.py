"""Bring a data set into the one form that all later steps read."""

from negmerge import plugins
from negmerge.data.archives import places
from negmerge.data.checksums import verify_all
from negmerge.data.images import write_images
from negmerge.data.progress import counted
from negmerge.jobs.job import job

with job(snakemake):
    row = snakemake.params.dataset
    source = plugins.load(plugins.SOURCES, row["source"])
    files = dict(zip(row["files"], snakemake.input.files, strict=True))
    verify_all(files, row["files"])
    splits = row["splits"]
    items = source.read(places(files, row.get("inside")), row)
    items = counted(snakemake.wildcards.dataset, items, sum(splits.values()))
    notes = {"mirror": row["name"], "differs": row["differs"] or ""} if "name" in row else {}
    write_images(snakemake.output.images, items, splits, row["classes"], notes)
