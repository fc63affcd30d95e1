# The pool: a fine-tuned model per point, and its task vector.


rule finetune:
    input:
        unpack(role_inputs("forget")),
        base=base,
        code=job_code("finetune"),
    output:
        finetuned="results/{study}/{experiment}/{task}/finetuned/{point}.safetensors",
    log:
        "results/{study}/logs/finetune/{experiment}/{task}/{point}.log",
    benchmark:
        "results/{study}/benchmarks/finetune/{experiment}/{task}/{point}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=1440,
        gpu=gpus,
    params:
        scenario=scenario,
        recipe=recipe,
        frozen=setting("frozen"),
        device=setting("device", of=study),
        seed=job_seed("training"),
        torch_threads=1,
    message:
        "finetune: {wildcards.experiment}, {wildcards.task}, {wildcards.point}"
    script:
        "../workflow/scripts/finetune.py"


rule vector:
    input:
        base=base,
        finetuned="results/{study}/{experiment}/{task}/finetuned/{point}.safetensors",
        code=code("vector"),
    output:
        vector="results/{study}/{experiment}/{task}/vectors/{point}.safetensors",
    log:
        "results/{study}/logs/vector/{experiment}/{task}/{point}.log",
    benchmark:
        "results/{study}/benchmarks/vector/{experiment}/{task}/{point}.tsv"
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    message:
        "vector: {wildcards.experiment}, {wildcards.task}, {wildcards.point}"
    script:
        "../workflow/scripts/vector.py"
