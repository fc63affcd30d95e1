# Many task vectors -> one, by each merge method.


rule merge:
    input:
        vectors=in_task(artefacts.pool_vectors, "method"),
        choice=in_task(artefacts.chosen_single, "method"),
    output:
        merged=intermediate("results/{study}/{experiment}/{task}/merged/{method}.safetensors"),
    log:
        "results/{study}/logs/merge/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/merge/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=r"(?!greedy[.-])\w[\w-]*",
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=minutes(work.merge),
        estimate_s=seconds(work.merge),
        disk_mb=megabytes(work.merge),
        gpu=gpus,
    params:
        code=lambda wildcards: code("merge", **{plugins.MERGE_METHODS: method_name(wildcards)}),
        method=method_name,
        options=lambda wildcards: of_method("use")(wildcards).options,
    message:
        "merge: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/merge.py"


rule greedy:
    input:
        unpack(role_inputs()),
        base=base,
        vectors=in_task(artefacts.pool_vectors, "method"),
    output:
        merged=intermediate("results/{study}/{experiment}/{task}/merged/{method}.safetensors"),
    log:
        "results/{study}/logs/greedy/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/greedy/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=r"greedy(-[\w-]+)?",
    conda:
        "../envs/models.yaml"
    threads: with_loaders(1)
    resources:
        mem_mb=growing(8000),
        runtime=minutes(work.greedy),
        estimate_s=seconds(work.greedy),
        disk_mb=megabytes(work.greedy),
        gpu=gpus,
    params:
        code=job_code("greedy"),
        scenario=scenario,
        coefficients=setting("coefficients.values"),
        keep=setting("selection.keep"),
        halvings=setting("selection.halvings"),
        options=lambda wildcards: methods.greedy_options(of_method("use")(wildcards).options),
        validation=validation,
        torch_threads=1,
    message:
        "greedy: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/greedy.py"


rule sparsity:
    input:
        base=base,
        vectors=in_task(artefacts.pool_vectors, "method"),
        candidates=in_task(artefacts.candidates, "method"),
        choice=in_task(artefacts.chosen_single, "method"),
    output:
        sparsity="results/{study}/{experiment}/{task}/sparsity/{method}.json",
    log:
        "results/{study}/logs/sparsity/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/sparsity/{experiment}/{task}/{method}.tsv"
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=minutes(work.compare),
        estimate_s=seconds(work.compare),
    params:
        code=code("sparsity"),
        freeze=setting("freeze"),
    message:
        "sparsity: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/sparsity.py"


rule signs:
    input:
        vectors=in_figure(artefacts.pool_vectors),
        merged=in_figure(artefacts.candidate),
    output:
        signs="results/{study}/{experiment}/{task}/signs/{figure}.json",
    log:
        "results/{study}/logs/signs/{experiment}/{task}/{figure}.log",
    benchmark:
        "results/{study}/benchmarks/signs/{experiment}/{task}/{figure}.tsv"
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=minutes(work.compare),
        estimate_s=seconds(work.compare),
    params:
        code=code("signs"),
    message:
        "signs: {wildcards.experiment}, {wildcards.task}, {wildcards.figure}"
    script:
        "../workflow/scripts/signs.py"
