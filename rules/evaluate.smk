# Scores on the test images of what each rule chose for each method; and once more when it is rounded
# or taught again what it forgot. The unlearned model as a file, on demand: what the experiment's main
# rule chose, or the rule that the path names.


rule evaluate:
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
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        mem_mb=memory(work.evaluate),
        runtime=minutes(work.evaluate),
        estimate_s=seconds(work.evaluate),
        gpu=gpus,
    params:
        code=job_code("evaluate"),
        scenario=scenario,
        batch_size=setting("eval_batch_size"),
        about=of_method("about"),
        data_used=of_method("data_used"),
        re_estimates=re_estimates,
        relearning=setting("relearning"),
        attack=setting("attack_features"),
        seed=task_seed("evaluation"),
        torch_threads=1,
    message:
        "evaluate: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/evaluate.py"


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
        mem_mb=memory(work.durability),
        runtime=minutes(work.durability),
        estimate_s=seconds(work.durability),
        gpu=gpus,
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
        selected=of_shown(paths.selected, "figure"),
        candidates=of_shown(paths.candidates, "figure"),
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
        mem_mb=memory(work.gradcam),
        runtime=minutes(work.gradcam),
        estimate_s=seconds(work.gradcam),
        gpu=gpus,
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
        unlearned="results/{study}/{experiment}/{task}/unlearned/{method}{rule}.safetensors",
    log:
        "results/{study}/logs/export/{experiment}/{task}/{method}{rule}.log",
    benchmark:
        "results/{study}/benchmarks/export/{experiment}/{task}/{method}{rule}.tsv"
    wildcard_constraints:
        rule=r"(\.\w+)?",
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: 1
    resources:
        mem_mb=memory(work.export),
        runtime=minutes(work.export),
        estimate_s=seconds(work.export),
        disk_mb=megabytes(work.export),
    params:
        code=job_code("export"),
        scenario=scenario,
        about=of_method("about"),
        re_estimates=re_estimates,
        batch_size=setting("eval_batch_size"),
        torch_threads=1,
    message:
        "export: {wildcards.experiment}, {wildcards.task}, {wildcards.method}{wildcards.rule}"
    script:
        "../workflow/scripts/export.py"
