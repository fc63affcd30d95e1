# What each method chooses: a sweep of its candidates on validation data, and the choice among them; or
# a search that finds the same choice without whole sweeps. Rule unlearn itself measures what it trains,
# and chooses.


rule sweep:
    input:
        unpack(role_inputs()),
        base=base,
        candidate=in_task(paths.candidate, "vector"),
        reference=in_task(paths.reference, "vector"),
    output:
        sweep="results/{study}/{experiment}/{task}/sweeps/{vector}.csv",
    log:
        "results/{study}/logs/sweep/{experiment}/{task}/{vector}.log",
    benchmark:
        "results/{study}/benchmarks/sweep/{experiment}/{task}/{vector}.tsv"
    wildcard_constraints:
        vector=rf"(?!{UNLEARN_METHOD}\.csv)\w[\w.-]*",
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        mem_mb=memory(work.sweep),
        runtime=minutes(work.sweep),
        estimate_s=seconds(work.sweep),
        gpu=gpus,
    params:
        code=job_code("sweep"),
        scenario=scenario,
        roles=setting("selection_roles"),
        rules=setting("selection.rules"),
        keep=setting("selection.keep"),
        # Retrain is measured once, whatever the grid.
        coefficients=lambda wildcards: (
            []
            if wildcards.vector == methods.RETRAIN
            else experiment(wildcards).coefficients.values
        ),
        halvings=setting("selection.halvings"),
        validation=validation,
        torch_threads=1,
    message:
        "sweep: {wildcards.experiment}, {wildcards.task}, {wildcards.vector}"
    script:
        "../workflow/scripts/sweep.py"


rule search:
    input:
        unpack(role_inputs()),
        base=base,
        vectors=in_task(paths.candidates, "method"),
    output:
        search="results/{study}/{experiment}/{task}/searches/{method}.json",
    log:
        "results/{study}/logs/search/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/search/{experiment}/{task}/{method}.tsv"
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        mem_mb=memory(work.search),
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
        torch_threads=1,
    message:
        "search: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/search.py"


rule select:
    input:
        sweeps=in_task(paths.sweeps, "method"),
        search=in_task(paths.candidate_search, "method"),
        reference=in_task(paths.reference, "method"),
    output:
        selected="results/{study}/{experiment}/{task}/selected/{method}.json",
    log:
        "results/{study}/logs/select/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/select/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=rf"(?!{UNLEARN_METHOD}\.json)\w[\w-]*",
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
        about=of_method("about"),
        rules=setting("selection.rules"),
        keep=setting("selection.keep"),
    message:
        "select: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/select_coefficient.py"
