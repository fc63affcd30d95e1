# The unlearned model of each method, and its scores on the test images.


rule negate:
    input:
        base="results/{study}/{experiment}/base.safetensors",
        selected="results/{study}/{experiment}/{task}/selected/{method}.json",
        vectors=in_task(places.candidate_vectors, "method"),
        code=code("negate"),
    output:
        unlearned="results/{study}/{experiment}/{task}/unlearned/{method}.safetensors",
    log:
        "results/{study}/logs/negate/{experiment}.{task}.{method}.log",
    benchmark:
        "results/{study}/benchmarks/negate/{experiment}.{task}.{method}.tsv"
    conda:
        "../envs/merging.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    message:
        "negate: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/negate.py"


rule evaluate:
    input:
        unpack(role_inputs("forget", "control")),
        unlearned="results/{study}/{experiment}/{task}/unlearned/{method}.safetensors",
        code=code("evaluate"),
    output:
        score="results/{study}/{experiment}/{task}/scores/{method}.json",
    log:
        "results/{study}/logs/evaluate/{experiment}.{task}.{method}.log",
    benchmark:
        "results/{study}/benchmarks/evaluate/{experiment}.{task}.{method}.tsv"
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
        batch_size=setting("evaluation_batch"),
        device=setting("device", of=study),
        torch_threads=1,
    message:
        "evaluate: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/evaluate.py"
