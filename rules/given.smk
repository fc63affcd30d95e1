# Models of others, by their paths in the study: those of a pool, in place of rule finetune, and the
# original of a classifier. Rule base reads that of CLIP, since heads need the text part too. Language
# models come with their tokenizer, by their paths or from the hub, and so does their Retrain.


rule vector:
    input:
        files=lambda wildcards: given(given_model(wildcards)),
        base=start_of_point,
        untouched=of_experiment(
            lambda one, wildcards: [in_experiment(wildcards, place) for place in one.UNTOUCHED]
        ),
    output:
        vector=intermediate("results/{study}/{experiment}/{task}/given/{point}.safetensors"),
    log:
        "results/{study}/logs/vector/{experiment}/{task}/{point}.log",
    benchmark:
        "results/{study}/benchmarks/vector/{experiment}/{task}/{point}.tsv"
    conda:
        "../envs/language.yaml"
    threads: 1
    resources:
        **needs(work.vector, disk=True),
    params:
        code=code("vector"),
        model=model,
        place=lambda wildcards: given_model(wildcards).file,
    message:
        "vector: {wildcards.experiment}, {wildcards.task}, {wildcards.point}"
    script:
        "../workflow/scripts/vector.py"


rule original:
    input:
        files=base_files,
    output:
        original="results/{study}/{experiment}/original.safetensors",
    log:
        "results/{study}/logs/original/{experiment}.log",
    benchmark:
        "results/{study}/benchmarks/original/{experiment}.tsv"
    conda:
        "../envs/models.yaml"
    threads: 1
    resources:
        **needs(work.original, disk=True),
    params:
        code=code("original"),
        model=model,
        classes=lambda wildcards: catalogue().datasets[experiment(wildcards).dataset].classes,
        place=lambda wildcards: given_base(wildcards).file,
        key=lambda wildcards: given_base(wildcards).key,
    message:
        "original: {wildcards.experiment}"
    script:
        "../workflow/scripts/original.py"


rule given_original:
    input:
        files=lambda wildcards: given(experiment(wildcards).base),
        weights=weights_of_original,
    output:
        weights="results/{study}/{experiment}/given/original.safetensors",
        tokenizer="results/{study}/{experiment}/given/tokenizer.json",
        configuration="results/{study}/{experiment}/given/configuration.json",
    log:
        "results/{study}/logs/given_original/{experiment}.log",
    benchmark:
        "results/{study}/benchmarks/given_original/{experiment}.tsv"
    conda:
        "../envs/language.yaml"
    threads: 1
    resources:
        **needs(work.given_original, disk=True),
    params:
        code=code("given_language_model"),
        place=lambda wildcards: getattr(experiment(wildcards).base, "file", None),
        key=lambda wildcards: getattr(experiment(wildcards).base, "key", None),
    message:
        "given_original: {wildcards.experiment}"
    script:
        "../workflow/scripts/given_language_model.py"


use rule given_original as given_retrain with:
    input:
        files=lambda wildcards: given(given_retrain(wildcards)),
        weights=weights_of_retrain,
        configuration="results/{study}/{experiment}/given/configuration.json",
    output:
        weights="results/{study}/{experiment}/{task}/retrained/retrain.safetensors",
    log:
        "results/{study}/logs/given_retrain/{experiment}/{task}.log",
    benchmark:
        "results/{study}/benchmarks/given_retrain/{experiment}/{task}.tsv"
    params:
        code=code("given_language_model"),
        place=lambda wildcards: getattr(given_retrain(wildcards), "file", None),
        key=lambda wildcards: getattr(given_retrain(wildcards), "key", None),
    message:
        "given_retrain: {wildcards.experiment}, {wildcards.task}"
