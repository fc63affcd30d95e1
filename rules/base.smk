# The base, before it forgets: CLIP with its zero-shot heads, a classifier, or a language model with its
# tokenizer. For the latter two Retrain, which never saw what is forgotten; for the classifier the split
# of its training images into forget and retain set.


rule base:
    input:
        data=of_experiment(
            lambda one, _: [
                prepared("images", name) for name in (one.pretrain.sources if one.pretrain else ())
            ]
        ),
        weights=weights_record,
        given=lambda wildcards: given(experiment(wildcards).base),
    output:
        base="results/{study}/{experiment}/base.safetensors",
        text="results/{study}/{experiment}/text.safetensors",
    log:
        "results/{study}/logs/base/{experiment}.log",
    benchmark:
        "results/{study}/benchmarks/base/{experiment}.tsv"
    conda:
        "../envs/models.yaml"
    threads: with_loaders(2)
    resources:
        **needs(work.base, gpu=True, disk=True),
    params:
        code=code("base"),
        model=model,
        pretrain=of_experiment(lambda one, _: one.pretraining(catalogue().prompts)),
        place=lambda wildcards: getattr(experiment(wildcards).base, "file", None),
        key=lambda wildcards: getattr(experiment(wildcards).base, "key", None),
        seed=job_seed("training"),
        torch_threads=2,
    message:
        "base: {wildcards.experiment}"
    script:
        "../workflow/scripts/base.py"


rule head:
    input:
        text="results/{study}/{experiment}/text.safetensors",
    output:
        head="results/{study}/{experiment}/heads/{dataset}.safetensors",
    log:
        "results/{study}/logs/head/{experiment}/{dataset}.log",
    benchmark:
        "results/{study}/benchmarks/head/{experiment}/{dataset}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        **needs(work.head, gpu=True),
    params:
        code=code("head"),
        model=model,
        prompts=lambda wildcards: find(
            "data set", wildcards.dataset, catalogue().prompts
        ).model_dump(),
        torch_threads=1,
    message:
        "head: {wildcards.experiment}, {wildcards.dataset}"
    script:
        "../workflow/scripts/head.py"


rule split:
    input:
        images=of_experiment(lambda one, _: prepared("images", one.dataset)),
        given=lambda wildcards: local(experiment(wildcards).forget.file or []),
        listed=listed_files,
    output:
        split="results/{study}/{experiment}/{task}/split.json",
    log:
        "results/{study}/logs/split/{experiment}/{task}.log",
    benchmark:
        "results/{study}/benchmarks/split/{experiment}/{task}.tsv"
    localrule: True
    conda:
        "../envs/data.yaml"
    threads: 1
    resources:
        **needs(work.small, mem_mb=2000),
    params:
        code=code("split"),
        forget=of_experiment(lambda one, _: one.forget.options(one.dataset, catalogue())),
        seed=lambda wildcards, output: experiment(wildcards).split_seed(wildcards.task)
        or job_seed("split")(wildcards, output),
    message:
        "split: {wildcards.experiment}, {wildcards.task}"
    script:
        "../workflow/scripts/split.py"


rule tokenizer:
    input:
        questions=lambda wildcards: prepared("questions", experiment(wildcards).dataset),
    output:
        tokenizer="results/{study}/{experiment}/tokenizer.json",
    log:
        "results/{study}/logs/tokenizer/{experiment}.log",
    benchmark:
        "results/{study}/benchmarks/tokenizer/{experiment}.tsv"
    localrule: True
    conda:
        "../envs/language.yaml"
    threads: 1
    resources:
        **needs(work.small, mem_mb=2000),
    params:
        code=code("tokenizer"),
        model=model,
        refusals=setting("refusals"),
    message:
        "tokenizer: {wildcards.experiment}"
    script:
        "../workflow/scripts/tokenizer.py"


rule train:
    input:
        unpack(role_inputs()),
        weights=weights_record,
        start=start_of_training,
    output:
        trained="results/{study}/{experiment}/{task}/trained/{trained}.safetensors",
    log:
        "results/{study}/logs/train/{experiment}/{task}/{trained}.log",
    benchmark:
        "results/{study}/benchmarks/train/{experiment}/{task}/{trained}.tsv"
    wildcard_constraints:
        trained="before|original|retrain",
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        **needs(work.train, gpu=True, disk=True),
    params:
        code=job_code("train"),
        scenario=scenario,
        recipe=lambda wildcards: training(wildcards).recipe.model_dump(),
        role=lambda wildcards: training(wildcards).role,
        seed=job_seed("training"),
        torch_threads=1,
    message:
        "train: {wildcards.experiment}, {wildcards.task}, {wildcards.trained}"
    script:
        "../workflow/scripts/train.py"
