# The coefficient of each vector: a sweep on validation data, and the choice among its points; or a
# search that finds the same choice without whole sweeps.


rule sweep:
    input:
        unpack(role_inputs()),
        base=base,
        vector=in_task(artefacts.vector, "vector"),
        reference=in_task(artefacts.reference, "vector"),
    output:
        sweep="results/{study}/{experiment}/{task}/sweeps/{vector}.csv",
    log:
        "results/{study}/logs/sweep/{experiment}/{task}/{vector}.log",
    benchmark:
        "results/{study}/benchmarks/sweep/{experiment}/{task}/{vector}.tsv"
    conda:
        "../envs/models.yaml"
    threads: with_loaders(1)
    resources:
        mem_mb=growing(8000),
        runtime=minutes(work.sweep),
        estimate_s=seconds(work.sweep),
        gpu=gpus,
    params:
        code=job_code("sweep"),
        scenario=scenario,
        roles=setting("measured_roles"),
        rules=setting("rule_names"),
        keep=setting("selection.keep"),
        coefficients=setting("coefficients.values"),
        halvings=setting("selection.halvings"),
        validation=validation,
        batch_size=setting("eval_batch_size"),
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
        measures="results/{study}/{experiment}/{task}/measures/{method}.csv",
    log:
        "results/{study}/logs/measure/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/measure/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=methods.RETRAIN,
    conda:
        "../envs/models.yaml"
    threads: with_loaders(1)
    resources:
        mem_mb=growing(8000),
        runtime=minutes(work.sweep),
        estimate_s=seconds(work.sweep),
        gpu=gpus,
    params:
        code=job_code("measure"),
        scenario=scenario,
        roles=setting("measured_roles"),
        validation=validation,
        batch_size=setting("eval_batch_size"),
        torch_threads=1,
    message:
        "measure: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/measure.py"


rule search:
    input:
        unpack(role_inputs()),
        base=base,
        vectors=in_task(artefacts.candidates, "method"),
    output:
        search="results/{study}/{experiment}/{task}/searches/{method}.json",
    log:
        "results/{study}/logs/search/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/search/{experiment}/{task}/{method}.tsv"
    conda:
        "../envs/models.yaml"
    threads: with_loaders(1)
    resources:
        mem_mb=growing(8000),
        runtime=minutes(work.search),
        estimate_s=seconds(work.search),
        gpu=gpus,
    params:
        code=job_code("search"),
        scenario=scenario,
        coefficients=setting("coefficients.values"),
        keep=setting("selection.keep"),
        halvings=setting("selection.halvings"),
        validation=validation,
        batch_size=setting("eval_batch_size"),
        torch_threads=1,
    message:
        "search: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/search.py"


rule select:
    input:
        measures=in_task(artefacts.measures, "method"),
        search=in_task(artefacts.candidate_search, "method"),
        reference=in_task(artefacts.reference_of, "method"),
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
        runtime=minutes(work.small),
        estimate_s=seconds(work.small),
    params:
        code=code("select_coefficient"),
        kind=method_kind,
        searched=of_method("is_searched"),
        rule=lambda wildcards: experiment(wildcards).rules[wildcards.method],
        keep=setting("selection.keep"),
        models=lambda wildcards: len(of_method("points")(wildcards)),
    message:
        "select: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/select_coefficient.py"
