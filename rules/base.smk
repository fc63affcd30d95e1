# The base, before it forgets, and the zero-shot heads that its text part makes.


rule base:
    input:
        data=pretraining_data,
        code=code("base"),
    output:
        base="results/{study}/{experiment}/base.safetensors",
        text="results/{study}/{experiment}/text.safetensors",
    log:
        "results/{study}/logs/base/{experiment}.log",
    benchmark:
        "results/{study}/benchmarks/base/{experiment}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=gpus,
    params:
        model=model,
        pretrain=pretrain,
        device=setting("device", of=study),
        seed=job_seed,
        torch_threads=2,
    message:
        "base: {wildcards.experiment}"
    script:
        "../workflow/scripts/base.py"


rule head:
    input:
        text="results/{study}/{experiment}/text.safetensors",
        code=code("head"),
    output:
        head="results/{study}/{experiment}/heads/{dataset}.safetensors",
    log:
        "results/{study}/logs/head/{experiment}.{dataset}.log",
    benchmark:
        "results/{study}/benchmarks/head/{experiment}.{dataset}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        model=model,
        prompts=row("prompts"),
        torch_threads=1,
    message:
        "head: {wildcards.experiment}, {wildcards.dataset}"
    script:
        "../workflow/scripts/head.py"
