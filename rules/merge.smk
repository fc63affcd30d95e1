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
    wildcard_constraints:
        method=r"(?!greedy\.)\w[\w.-]*",
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


rule greedy:
    input:
        unpack(role_inputs("forget", "control")),
        base="results/{study}/{experiment}/base.safetensors",
        vectors=in_task(places.pool_vectors, "method"),
        code=code("greedy"),
    output:
        merged="results/{study}/{experiment}/{task}/merged/{method}.safetensors",
    log:
        "results/{study}/logs/greedy/{experiment}.{task}.{method}.log",
    benchmark:
        "results/{study}/benchmarks/greedy/{experiment}.{task}.{method}.tsv"
    wildcard_constraints:
        method="greedy",
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
        gpu=gpus,
    params:
        model=model,
        datasets=lambda wildcards: experiment(wildcards).datasets(wildcards.task),
        coefficients=setting("coefficients.values"),
        keep=setting("selection.keep"),
        options=lambda wildcards: experiment(wildcards).greedy_options(),
        batch_size=setting("evaluation_batch"),
        device=setting("device", of=study),
        torch_threads=1,
    message:
        "greedy: {wildcards.experiment}, {wildcards.task}"
    script:
        "../workflow/scripts/greedy.py"


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
