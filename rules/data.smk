# Data sets: from where they come to the one form that all steps read.


rule prepare:
    input:
        files=source_files,
        code=lambda wildcards: code(
            "prepare", **{plugins.SOURCES: row("datasets")(wildcards)["source"]}
        ),
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
        mem_mb=2000,
        runtime=30,
    params:
        dataset=row("datasets"),
    message:
        "prepare: {wildcards.dataset}"
    script:
        "../workflow/scripts/prepare.py"
