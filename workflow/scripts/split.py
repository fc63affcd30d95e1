"""Draw which training images are forgotten."""

from dataclasses import replace

import numpy as np

from negmerge.data.forget_rules import forget_split
from negmerge.data.forgetting import write_split
from negmerge.data.images import Images
from negmerge.jobs.job import job

with job(snakemake):
    forget = dict(snakemake.params.forget)
    labels = Images(snakemake.input.images, "train").labels
    test = len(Images(snakemake.input.images, "test"))
    share = forget.pop("share")
    # The rule of the SalUn code also draws with the seed before this one.
    split = forget_split(labels, share, max(snakemake.params.seed, 1), **forget)
    split = replace(split, test=np.arange(test))
    print({name: len(positions) for name, positions in vars(split).items()})
    write_split(snakemake.output.split, split)
