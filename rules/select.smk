# The coefficient of each vector: a sweep on validation data, and the choice among its points; or a
# search that finds the same choice without whole sweeps.


rule sweep:
    input:
        unpack(role_inputs("forget", "control")),
        base="results/{study}/{experiment}/base.safetensors",
        vector=in_task(places.vector, "vector"),
        code=code("sweep"),
    output:
        sweep="results/{study}/{experiment}/{task}/sweeps/{vector}.csv",
    log:
        "results/{study}/logs/sweep/{experiment}.{task}.{vector}.log",
    benchmark:
        "results/{study}/benchmarks/sweep/{experiment}.{task}.{vector}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=gpus,
    params:
        model=model,
        datasets=lambda wildcards: experiment(wildcards).datasets(wildcards.task),
        coefficients=setting("coefficients.values"),
        batch_size=setting("evaluation_batch"),
        device=setting("device", of=study),
        torch_threads=1,
    message:
        "sweep: {wildcards.experiment}, {wildcards.task}, {wildcards.vector}"
    script:
        "../workflow/scripts/sweep.py"


rule search:
    input:
        unpack(role_inputs("forget", "control")),
        base="results/{study}/{experiment}/base.safetensors",
        vectors=in_task(places.candidate_vectors, "method"),
        code=code("search"),
    output:
        search="results/{study}/{experiment}/{task}/searches/{method}.json",
    log:
        "results/{study}/logs/search/{experiment}.{task}.{method}.log",
    benchmark:
        "results/{study}/benchmarks/search/{experiment}.{task}.{method}.tsv"
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
        batch_size=setting("evaluation_batch"),
        device=setting("device", of=study),
        torch_threads=1,
    message:
        "search: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/search.py"


rule select:
    input:
        sweeps=in_task(places.candidate_sweeps, "method"),
        search=in_task(places.candidate_search, "method"),
        code=code("select_coefficient"),
    output:
        selected="results/{study}/{experiment}/{task}/selected/{method}.json",
    log:
        "results/{study}/logs/select/{experiment}.{task}.{method}.log",
    benchmark:
        "results/{study}/benchmarks/select/{experiment}.{task}.{method}.tsv"
    localrule: True
    conda:
        "../envs/reporting.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        # How the choice was searched changes nothing in it.
        selection=lambda wildcards: experiment(wildcards).selection.model_dump(exclude={"search"}),
    message:
        "select: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/select_coefficient.py"
