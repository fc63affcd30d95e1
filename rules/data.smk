# Data sets: from their sources to the one form that all steps read.


# Here and not in the Snakefile: a Snakemake that is too old to read this has ended with a line by now.
pathvars:
    data=config["data"],


# Runs on the machine where Snakemake runs: compute nodes often have no internet. The file may have
# taken hours, or somebody put it there by hand, so no change in the workflow may delete it. That is
# why there is no param `code`, and the file is an update. `ensure(sha256=...)` would delete a file
# that does not fit; the script says what is wrong with it, and leaves it.
rule download:
    output:
        file=update("<data>/downloads/{dataset}/{file}"),
    log:
        "<data>/logs/download/{dataset}/{file}.log",
    benchmark:
        "<data>/benchmarks/download/{dataset}/{file}.tsv"
    wildcard_constraints:
        file=r"\w[\w.-]*",
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        **needs(work.download, mem_mb=1000, disk=True),
    params:
        file=download_of,
        by_hand=by_hand_of,
    message:
        "download: {wildcards.dataset}, {wildcards.file}"
    script:
        "../workflow/scripts/download.py"


# Jobs read the weights from this user's cache; the output records which file that is. It is an update,
# so weights that a row does not pin down stay those that were fetched first.
rule weights:
    output:
        record=update("<data>/weights/{model}"),
    log:
        "<data>/logs/weights/{model}.log",
    benchmark:
        "<data>/benchmarks/weights/{model}.tsv"
    wildcard_constraints:
        model=r"\w[\w.-]*",
    localrule: True
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        **needs(work.weights, mem_mb=8000, disk=True),
    params:
        model=checked(lambda wildcards: catalogue().fetched(wildcards.model).model_dump()),
    message:
        "weights: {wildcards.model}"
    script:
        "../workflow/scripts/weights.py"


rule prepare:
    input:
        files=lambda wildcards: files_of(wildcards.dataset),
    output:
        images="<data>/{dataset}/images.safetensors",
    log:
        "<data>/logs/prepare/{dataset}.log",
    benchmark:
        "<data>/benchmarks/prepare/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        **needs(work.prepare, mem_mb=2000, disk=True),
    params:
        code=lambda wildcards: code("prepare", **{plugins.SOURCES: source(wildcards)}),
        dataset=checked(
            lambda wildcards: catalogue().contents(wildcards.dataset, mirror_of(wildcards.dataset))
        ),
    message:
        "prepare: {wildcards.dataset}"
    script:
        "../workflow/scripts/prepare.py"


use rule prepare as prepare_questions with:
    output:
        questions="<data>/{dataset}/questions.jsonl",
    log:
        "<data>/logs/prepare_questions/{dataset}.log",
    benchmark:
        "<data>/benchmarks/prepare_questions/{dataset}.tsv"
