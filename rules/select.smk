# The coefficient of each vector: a sweep on validation data, and the choice among its points; or a
# search that finds the same choice without whole sweeps.


rule sweep:
    input:
        unpack(role_inputs()),
        base=base,
        vector=in_task(places.vector, "vector"),
    output:
        sweep="results/{study}/{experiment}/{task}/sweeps/{vector}.csv",
    log:
        "results/{study}/logs/sweep/{experiment}/{task}/{vector}.log",
    benchmark:
        "results/{study}/benchmarks/sweep/{experiment}/{task}/{vector}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
        gpu=gpus,
    params:
        code=job_code("sweep"),
        scenario=scenario,
        roles=setting("measured_roles"),
        coefficients=setting("coefficients.values"),
        validation=validation,
        batch_size=setting("evaluation_batch"),
        device=setting("device", of=study),
        torch_threads=1,
    message:
        "sweep: {wildcards.experiment}, {wildcards.task}, {wildcards.vector}"
    script:
        "../workflow/scripts/sweep.py"


rule measure:
    input:
        unpack(role_inputs()),
        base=base,
        trained="results/{study}/{experiment}/{task}/trained/{method}.safetensors",
    output:
        sweep="results/{study}/{experiment}/{task}/measures/{method}.csv",
    log:
        "results/{study}/logs/measure/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/measure/{experiment}/{task}/{method}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
        gpu=gpus,
    params:
        code=job_code("measure"),
        scenario=scenario,
        roles=setting("measured_roles"),
        validation=validation,
        batch_size=setting("evaluation_batch"),
        device=setting("device", of=study),
        torch_threads=1,
    message:
        "measure: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/measure.py"


rule search:
    input:
        unpack(role_inputs()),
        base=base,
        vectors=in_task(places.candidates, "method"),
    output:
        search="results/{study}/{experiment}/{task}/searches/{method}.json",
    log:
        "results/{study}/logs/search/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/search/{experiment}/{task}/{method}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
        gpu=gpus,
    params:
        code=job_code("search"),
        scenario=scenario,
        coefficients=setting("coefficients.values"),
        keep=setting("selection.keep"),
        validation=validation,
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
        reference=in_task(places.reference_sweep, "method"),
    output:
        selected="results/{study}/{experiment}/{task}/selected/{method}.json",
    log:
        "results/{study}/logs/select/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/select/{experiment}/{task}/{method}.tsv"
    localrule: True
    conda:
        "../envs/reporting.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code("select_coefficient"),
        rule=lambda wildcards: experiment(wildcards).rules[wildcards.method],
        keep=setting("selection.keep"),
        models=lambda wildcards: len(of_method("points")(wildcards)),
        trained=is_trained,
    message:
        "select: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/select_coefficient.py"
