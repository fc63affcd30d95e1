# The coefficient of each vector: a sweep on validation data, and the choice among its points.


rule sweep:
    input:
        unpack(role_inputs("forget", "control")),
        base="results/{study}/{experiment}/base.safetensors",
        vector=vectors(lambda wildcards: [wildcards.vector]),
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
        control=setting("control"),
        coefficients=setting("coefficients.values"),
        batch_size=setting("evaluation_batch"),
        device=device,
        torch_threads=1,
    script:
        "../workflow/scripts/sweep.py"


rule select:
    input:
        sweeps=candidate_sweeps,
        code=code("select"),
    output:
        selected="results/{study}/{experiment}/{task}/selected/{method}.json",
    log:
        "results/{study}/logs/select/{experiment}.{task}.{method}.log",
    benchmark:
        "results/{study}/benchmarks/select/{experiment}.{task}.{method}.tsv"
    conda:
        "../envs/reporting.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        selection=lambda wildcards: experiment(wildcards).selection.model_dump(),
    script:
        "../workflow/scripts/select.py"
