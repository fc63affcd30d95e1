# Methods that make the base forget by training it, or by one step. A job tries all
# values of a method's grid, which share its start and the images, chooses among them by each criterion, and
# keeps the models that are chosen.


rule unlearn:
    input:
        unpack(role_inputs()),
        base=base,
        reference=in_task(paths.reference, "method"),
        vectors=in_task(paths.taken, "method"),
        retained=in_task(paths.retained, "method"),
        first=first_base,
        choice=in_task(paths.chosen_of_taken, "method"),
    output:
        candidates=intermediate(
            "results/{study}/{experiment}/{task}/candidates/{method}.safetensors"
        ),
        sweep="results/{study}/{experiment}/{task}/sweeps/{method}.csv",
        selected="results/{study}/{experiment}/{task}/selected/{method}.json",
    log:
        "results/{study}/logs/unlearn/{experiment}/{task}/{method}.log",
    benchmark:
        "results/{study}/benchmarks/unlearn/{experiment}/{task}/{method}.tsv"
    wildcard_constraints:
        method=UNLEARN_METHOD,
    conda:
        environment("../envs/models.yaml", language="../envs/language.yaml")
    threads: with_loaders(1)
    resources:
        **needs(work.unlearn, gpu=True, disk=True),
    params:
        code=job_code("unlearn", **{plugins.UNLEARN_METHODS: method_name}),
        scenario=scenario,
        about=of_method("about_choice"),
        method=method_name,
        options=lambda wildcards: of_method("use")(wildcards).options,
        grid=lambda wildcards: of_method("use")(wildcards).grid,
        freeze=setting("freeze"),
        unchanged=setting("SCENARIO.base"),
        roles=setting("selection_roles"),
        criteria=setting("choices"),
        keep=setting("selection.keep"),
        halvings=setting("selection.halvings"),
        validation=validation,
        recipe=lambda wildcards: experiment(wildcards).unlearn.model_dump(),
        seed=job_seed("unlearning"),
        torch_threads=1,
    message:
        "unlearn: {wildcards.experiment}, {wildcards.task}, {wildcards.method}"
    script:
        "../workflow/scripts/unlearn.py"
