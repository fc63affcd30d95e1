# Models of others, by their paths in the study: those of a pool, in place of rule finetune, and the
# original of a classifier. Rule base reads that of CLIP, since heads need the text part too.


rule vector:
    input:
        files=lambda wildcards: given(given_model(wildcards)),
        base=base,
        untouched=untouched,
    output:
        vector=intermediate("results/{study}/{experiment}/{task}/given/{point}.safetensors"),
    log:
        "results/{study}/logs/vector/{experiment}/{task}/{point}.log",
    benchmark:
        "results/{study}/benchmarks/vector/{experiment}/{task}/{point}.tsv"
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=minutes(work.vector),
        estimate_s=seconds(work.vector),
        disk_mb=megabytes(work.vector),
    params:
        code=code("vector"),
        model=model,
        place=lambda wildcards: given_model(wildcards).file,
    message:
        "vector: {wildcards.experiment}, {wildcards.task}, {wildcards.point}"
    script:
        "../workflow/scripts/vector.py"


rule original:
    input:
        files=lambda wildcards: given(given_base(wildcards)),
    output:
        original="results/{study}/{experiment}/original.safetensors",
    log:
        "results/{study}/logs/original/{experiment}.log",
    benchmark:
        "results/{study}/benchmarks/original/{experiment}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=minutes(work.original),
        estimate_s=seconds(work.original),
        disk_mb=megabytes(work.original),
    params:
        code=code("original"),
        model=model,
        classes=lambda wildcards: catalogue().datasets[experiment(wildcards).dataset].classes,
        place=lambda wildcards: given_base(wildcards).file,
        key=lambda wildcards: given_base(wildcards).key,
    message:
        "original: {wildcards.experiment}"
    script:
        "../workflow/scripts/original.py"
