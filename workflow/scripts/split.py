"""Decide which training images are forgotten, and which test images are of forgotten classes."""

from dataclasses import replace

from negmerge.data.forget import forget_split, test_parts, write_split
from negmerge.data.image_lists import list_images
from negmerge.data.images import Images
from negmerge.jobs.job import job

with job(snakemake):
    inputs, forget = snakemake.input, dict(snakemake.params.forget)
    labels, test = (Images(inputs.images, split).labels for split in ("train", "test"))
    share = forget.pop("share")
    if inputs.listed:
        forget["names"] = [image.name for image in list_images(*inputs.listed).of("train")]
    # The rule of the SalUn code also draws with the seed before this one.
    split = forget_split(labels, share, max(snakemake.params.seed, 1), **forget)
    split = replace(split, **test_parts(test, forget["classes"]))
    print({name: len(positions) for name, positions in vars(split).items()})
    write_split(snakemake.output.split, split)
