# The pool: a fine-tuned model per point, and its task vector.


rule finetune:
    input:
        unpack(role_inputs("forget")),
        base=start_of_point,
    output:
        finetuned=intermediate("results/{study}/{experiment}/{task}/finetuned/{point}.safetensors"),
        vector=intermediate("results/{study}/{experiment}/{task}/vectors/{point}.safetensors"),
    log:
        "results/{study}/logs/finetune/{experiment}/{task}/{point}.log",
    benchmark:
        "results/{study}/benchmarks/finetune/{experiment}/{task}/{point}.tsv"
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        **needs(work.finetune, gpu=True, disk=True),
    params:
        code=job_code("finetune"),
        scenario=scenario,
        recipe=of_experiment(
            lambda one, wildcards: one.recipe(wildcards.task, wildcards.point).model_dump()
        ),
        role=of_experiment(lambda one, wildcards: one.tuned_on(wildcards.point)),
        freeze=setting("freeze"),
        seed=job_seed("training"),
        adapter_seed=task_seed("training"),
        torch_threads=1,
    message:
        "finetune: {wildcards.experiment}, {wildcards.task}, {wildcards.point}"
    script:
        "../workflow/scripts/finetune.py"
