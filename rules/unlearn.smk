# Methods that make the original classifier forget by training it, or by one step.


rule unlearn:
    input:
        unpack(role_inputs()),
        base=base,
    output:
        trained=intermediate("results/{study}/{experiment}/{task}/trained/{method}.safetensors"),
    log:
        "results/{study}/logs/unlearn/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/unlearn/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=r"(?!original\.|retrain\.)\w[\w.-]*",
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
        gpu=gpus,
    params:
        code=job_code("unlearn", **{plugins.UNLEARN_METHODS: method_name}),
        scenario=scenario,
        method=method_name,
        options=of_method("training_options"),
        recipe=lambda wildcards: experiment(wildcards).unlearn.model_dump(),
        device=setting("device", of=study),
        seed=job_seed("unlearning"),
        torch_threads=1,
    message:
        "unlearn: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/unlearn.py"
