# Many task vectors -> one, by each merge method.


rule merge:
    input:
        vectors=in_task(places.pool_vectors, "method"),
        code=lambda wildcards: code("merge", **{plugins.MERGE_METHODS: wildcards.method}),
    output:
        merged="results/{study}/{experiment}/{task}/merged/{method}.safetensors",
    log:
        "results/{study}/logs/merge/{experiment}.{task}.{method}.log",
    benchmark:
        "results/{study}/benchmarks/merge/{experiment}.{task}.{method}.tsv"
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        options=options,
    message:
        "merge: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/merge.py"


rule sparsity:
    input:
        merged="results/{study}/{experiment}/{task}/merged/{method}.safetensors",
        code=code("sparsity"),
    output:
        sparsity="results/{study}/{experiment}/{task}/sparsity/{method}.json",
    log:
        "results/{study}/logs/sparsity/{experiment}.{task}.{method}.log",
    benchmark:
        "results/{study}/benchmarks/sparsity/{experiment}.{task}.{method}.tsv"
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        frozen=setting("frozen"),
        models=lambda wildcards: len(experiment(wildcards).pool.changes),
    message:
        "sparsity: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/sparsity.py"
