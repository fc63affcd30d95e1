# Many task vectors -> one, by each merge method.


rule merge:
    input:
        vectors=in_task(paths.pool_vectors, "method"),
        choice=in_task(paths.chosen_single, "method"),
    output:
        merged=intermediate("results/{study}/{experiment}/{task}/merged/{method}.safetensors"),
    log:
        "results/{study}/logs/merge/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/merge/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=rf"(?!{MEASURED_METHOD}\.)\w[\w.-]*",
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        **needs(work.merge, mem_mb=8000, gpu=True, disk=True),
    params:
        code=lambda wildcards: code("merge", **{plugins.MERGE_METHODS: method_name(wildcards)}),
        method=method_name,
        options=of_method("merge_options"),
    message:
        "merge: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/merge.py"


rule greedy:
    input:
        unpack(role_inputs()),
        base=base,
        vectors=in_task(paths.pool_vectors, "method"),
    output:
        merged=intermediate("results/{study}/{experiment}/{task}/merged/{method}.safetensors"),
    log:
        "results/{study}/logs/greedy/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/greedy/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=MEASURED_METHOD,
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        **needs(work.greedy, gpu=True, disk=True),
    params:
        code=job_code("greedy"),
        scenario=scenario,
        coefficients=setting("coefficients.values"),
        keep=setting("selection.keep"),
        halvings=setting("selection.halvings"),
        method=method_name,
        options=lambda wildcards: methods.special_options(
            wildcards.method, of_method("use")(wildcards).options
        ),
        validation=validation,
        torch_threads=1,
    message:
        "greedy: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/greedy.py"


rule sparsity:
    input:
        base=base,
        vectors=in_task(paths.pool_vectors, "table"),
        candidates=in_task(paths.candidates, "table"),
        choices=in_task(paths.chosen_vector, "table"),
    output:
        sparsity="results/{study}/{experiment}/{task}/sparsity/{table}.json",
    log:
        "results/{study}/logs/sparsity/{experiment}/{task}/{table}.log",
    benchmark:
        "results/{study}/benchmarks/sparsity/{experiment}/{task}/{table}.tsv"
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        **needs(work.sparsity, mem_mb=8000),
    params:
        code=code("sparsity"),
        freeze=setting("freeze"),
        points=lambda wildcards: {
            name: experiment(wildcards).points(name) for name in shown_methods("table")(wildcards)
        },
        candidates=lambda wildcards: {
            name: experiment(wildcards).candidates(name)
            for name in shown_methods("table")(wildcards)
        },
    message:
        "sparsity: {wildcards.experiment}, {wildcards.task}, {wildcards.table}"
    script:
        "../workflow/scripts/sparsity.py"


rule signs:
    input:
        vectors=in_task(paths.pool_vectors, "figure"),
        merged=in_task(paths.candidate, "figure"),
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
        **needs(work.signs, mem_mb=8000),
    params:
        code=code("signs"),
    message:
        "signs: {wildcards.experiment}, {wildcards.task}, {wildcards.figure}"
    script:
        "../workflow/scripts/signs.py"
