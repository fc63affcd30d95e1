# Data sets: from where they come to the one form that all steps read.


# On the machine where Snakemake runs: compute nodes often have no internet. There is no param `code`
# and the file is no new one but an update, so that nothing that changes in the workflow deletes a
# file that took hours, or that somebody put there by hand. `ensure(sha256=...)` would delete such a
# file if it does not fit; the script says what is wrong with it, and leaves it.
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
        mem_mb=1000,
        runtime=minutes(work.download),
        estimate_s=seconds(work.download),
        disk_mb=megabytes(work.download),
    params:
        file=download_of,
        by_hand=by_hand_of,
    message:
        "download: {wildcards.dataset}, {wildcards.file}"
    script:
        "../workflow/scripts/download.py"


# Jobs read the weights from this user's cache; the output says which file they are. It is no new one
# but an update, so that weights which a row does not tell stay those that were fetched first.
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
        mem_mb=8000,
        runtime=minutes(work.weights),
        estimate_s=seconds(work.weights),
        disk_mb=megabytes(work.weights),
    params:
        model=lambda wildcards: find("model", wildcards.model, catalogue().models).model_dump(),
    message:
        "weights: {wildcards.model}"
    script:
        "../workflow/scripts/weights.py"


rule prepare:
    input:
        files=source_files,
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
        mem_mb=growing(2000),
        runtime=minutes(work.prepare),
        estimate_s=seconds(work.prepare),
        disk_mb=megabytes(work.prepare),
    params:
        code=lambda wildcards: code("prepare", **{plugins.SOURCES: dataset(wildcards).source}),
        dataset=lambda wildcards: dataset(wildcards).contents(),
    message:
        "prepare: {wildcards.dataset}"
    script:
        "../workflow/scripts/prepare.py"
