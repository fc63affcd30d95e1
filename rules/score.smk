# What each method chooses among its candidates on validation items, and the scores of what was chosen on
# test items: one job a method. Only a point's own sweep, which several methods or a figure read, is a job
# by itself, and so is that of Retrain, which the criterion `gap` compares with.


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
        vector=rf"(?!(?:{UNLEARN_METHOD}|{MERGE_METHOD})\.csv)\w[\w.-]*",
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        **needs(work.sweep, gpu=True),
    params:
        code=job_code("sweep"),
        scenario=scenario,
        roles=setting("selection_roles"),
        criteria=setting("choices"),
        keep=setting("selection.keep"),
        # Retrain is measured once, whatever the grid.
        coefficients=lambda wildcards: (
            [] if wildcards.vector == methods.RETRAIN else experiment(wildcards).tried_coefficients
        ),
        halvings=setting("selection.halvings"),
        validation=validation,
        torch_threads=1,
    message:
        "sweep: {wildcards.experiment}, {wildcards.task}, {wildcards.vector}"
    script:
        "../workflow/scripts/sweep.py"


rule score:
    input:
        unpack(role_inputs()),
        base=base,
        candidates=in_task(paths.candidates, "method"),
        sweeps=shared_sweeps,
        reference=in_task(paths.reference, "method"),
        unchanged=in_task(paths.unchanged, "method"),
    output:
        sweep="results/{study}/{experiment}/{task}/sweeps/{method}.csv",
        selected="results/{study}/{experiment}/{task}/selected/{method}.json",
        score="results/{study}/{experiment}/{task}/scores/{method}.json",
        outcomes="results/{study}/{experiment}/{task}/outcomes/{method}.safetensors",
    log:
        "results/{study}/logs/score/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/score/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=MERGE_METHOD,
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        **needs(work.score, gpu=True),
    params:
        code=job_code("score"),
        scenario=scenario,
        about=of_method("about"),
        choosing=choosing,
        validation=validation,
        halved=setting("halved"),
        batch_size=setting("eval_batch_size"),
        data_used=of_method("data_used"),
        re_estimates=re_estimates,
        relearning=setting("relearning"),
        attack=setting("attack_features"),
        seed=task_seed("evaluation"),
        torch_threads=1,
    message:
        "score: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/score.py"


# The scores of a method that has nothing to choose, or whose own job has chosen.
use rule score as evaluate with:
    input:
        unpack(role_inputs()),
        base=base,
        selected=in_task(paths.selected, "method"),
        candidates=in_task(paths.candidates, "method"),
        unchanged=in_task(paths.unchanged, "method"),
    output:
        score="results/{study}/{experiment}/{task}/scores/{method}.json",
        outcomes="results/{study}/{experiment}/{task}/outcomes/{method}.safetensors",
    log:
        "results/{study}/logs/evaluate/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/evaluate/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=rf"(?!{MERGE_METHOD}\.)\w[\w-]*",
    resources:
        **needs(work.evaluate, gpu=True),
    params:
        choosing=None,
    message:
        "evaluate: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"


rule durability:
    input:
        unpack(role_inputs()),
        base=base,
        selected=in_task(paths.selected, "method"),
        candidates=in_task(paths.candidates, "method"),
    output:
        durability="results/{study}/{experiment}/{task}/durability/{method}.json",
        outcomes="results/{study}/{experiment}/{task}/durability/{method}.safetensors",
    log:
        "results/{study}/logs/durability/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/durability/{experiment}/{task}/{method}.tsv"
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        **needs(work.durability, gpu=True),
    params:
        code=job_code("durability"),
        scenario=scenario,
        batch_size=setting("eval_batch_size"),
        about=of_method("about"),
        re_estimates=re_estimates,
        durability=checked(lambda wildcards: experiment(wildcards).treatment.model_dump()),
        seed=task_seed("evaluation"),
        torch_threads=1,
    message:
        "durability: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/durability.py"


rule gradcam:
    input:
        unpack(role_inputs("forget")),
        base=base,
        selected=in_task(paths.selected, "figure"),
        candidates=in_task(paths.candidates, "figure"),
    output:
        maps="results/{study}/{experiment}/{task}/gradcam/{figure}.safetensors",
    log:
        "results/{study}/logs/gradcam/{experiment}/{task}/{figure}.log",
    benchmark:
        "results/{study}/benchmarks/gradcam/{experiment}/{task}/{figure}.tsv"
    conda:
        "../envs/models.yaml"
    threads: with_loaders(1)
    resources:
        **needs(work.gradcam, gpu=True),
    params:
        code=job_code("gradcam"),
        scenario=scenario,
        about=lambda wildcards: {
            name: experiment(wildcards).about(name) for name in shown_methods("figure")(wildcards)
        },
        re_estimates=re_estimates,
        classes=forgotten_classes,
        batch_size=setting("eval_batch_size"),
        torch_threads=1,
    message:
        "gradcam: {wildcards.experiment}, {wildcards.task}, {wildcards.figure}"
    script:
        "../workflow/scripts/gradcam.py"


rule export:
    input:
        unpack(role_inputs()),
        base=base,
        selected=in_task(paths.selected, "method"),
        candidates=in_task(paths.candidates, "method"),
    output:
        unlearned="results/{study}/{experiment}/{task}/unlearned/{method}{criterion}.safetensors",
    log:
        "results/{study}/logs/export/{experiment}/{task}/{method}{criterion}.log",
    benchmark:
        "results/{study}/benchmarks/export/{experiment}/{task}/{method}{criterion}.tsv"
    wildcard_constraints:
        criterion=r"(\.[\w-]+)?",
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: 1
    resources:
        **needs(work.export, disk=True),
    params:
        code=job_code("export"),
        scenario=scenario,
        about=of_method("about"),
        re_estimates=re_estimates,
        batch_size=setting("eval_batch_size"),
        torch_threads=1,
    message:
        "export: {wildcards.experiment}, {wildcards.task}, {wildcards.method}{wildcards.criterion}"
    script:
        "../workflow/scripts/export.py"
