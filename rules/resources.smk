# Look-ups of what a job asks of the machine, and of what decides that it runs again: seeds and code.
from negmerge.jobs import needs
from negmerge.jobs.dependencies import code_digest
from negmerge.jobs.versions import count_gpus
from negmerge.seeds import derive_seed
from negmerge.settings.costs import load_costs


@checked
def gpus(wildcards):
    return int((config.get("device") or study(wildcards).device) == "cuda")


# No more jobs at a time ask for a GPU than there are, unless the command or a profile gives a number. In
# profiles/default a number would hold for a cluster too, which has `nodes`, and counts its GPUs itself.
if is_main and workflow.resource_settings.nodes is None and (there := count_gpus()):
    workflow.global_resources.setdefault("gpu", there)


def environment(usual, **own):
    """A look-up of the conda environment: that of the scenario, where it has its own."""
    return checked(lambda wildcards: own.get(experiment(wildcards).scenario, usual))


def with_loaders(torch_threads):
    """A look-up of threads: processes load images for a GPU, as many if no `set-threads` says else."""
    return checked(lambda wildcards: torch_threads + needs.LOADERS * gpus(wildcards))


def growing(mem_mb):
    """A look-up of memory that no study decides: as much again with each attempt."""
    return checked(lambda wildcards, attempt: attempt * mem_mb)


@checked
def case(wildcards):
    if "experiment" not in wildcards.keys():
        return needs.Case(dict(wildcards.items()), catalogue(), costs)
    return needs.Case(
        dict(wildcards.items()),
        catalogue(),
        costs,
        experiment(wildcards),
        study(wildcards).compute.precision,
        "cuda" if gpus(wildcards) else "cpu",
    )


# The steps, and look-ups of what their jobs ask for.
work, costs, asked = needs, checked(load_costs)(CONFIG), needs.Needs(case)


def seconds(step):
    """A look-up of the seconds that a job takes, by what its step does."""
    return checked(asked.seconds(step))


def minutes(step):
    """A look-up of the minutes that a job may take."""
    return checked(asked.minutes(step))


def memory(step):
    """A look-up of the megabytes of memory that a job asks for."""
    return checked(asked.memory(step))


def megabytes(step):
    """A look-up of the disk that the outputs of a job take."""
    return checked(asked.disk(step))


def job_seed(level):
    """A look-up of a seed: of the study's for a level, and the place of the job's output."""

    @checked
    def look_up(wildcards, output):
        place = output[0].partition(f"results/{wildcards.study}/")[2]
        return derive_seed(study(wildcards).seed_of(wildcards.experiment, level), place)

    return look_up


def task_seed(level):
    """A look-up of a seed that all models of a task share, so that they are measured alike."""

    @checked
    def look_up(wildcards):
        seed = study(wildcards).seed_of(wildcards.experiment, level)
        return derive_seed(seed, f"{wildcards.experiment}/{wildcards.task}")

    return look_up


@cache
@checked
def code(script, **choices):
    """A checksum of what a script reaches in the library, and the choices: one or more by folder."""
    chosen = [
        plugins.path(folder, name)
        for folder, names in choices.items()
        for name in ([names] if isinstance(names, str) else names)
    ]
    return code_digest([LIBRARY.parent / f"{script}.py", *chosen], LIBRARY)


def job_code(script, **look_ups):
    """A look-up of the checksum of what a script reaches, in the experiment's scenario."""

    @checked
    def look_up(wildcards):
        choices = {folder: choice(wildcards) for folder, choice in look_ups.items()}
        return code(script, **{plugins.SCENARIO_JOBS: experiment(wildcards).scenario}, **choices)

    return look_up


def kind_code(what, folder):
    """A look-up of the checksum of what a script reaches, and the kind that it is to make."""
    return checked(lambda wildcards: code(what, **{folder: shown(what)(wildcards).kind}))
