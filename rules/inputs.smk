# Look-ups of input files: of the base, of a task, of a study, and files of the user's or of the workflow.
from snakemake.io import sourcecache_entry

from negmerge.settings.datasets import PREPARED


@of_experiment
def given_base(one, _):
    """Return the base of others; what its model's row downloads is beside the other downloads."""
    file = catalogue().models[one.model].download
    is_downloaded = file and one.given_base.file == file.name
    place = str(downloaded_weights(one.model)) if is_downloaded else one.given_base.file
    return one.given_base.model_copy(update={"file": place})


@of_experiment
def base_files(one, wildcards):
    """Return the files of the base of others, which a rule may download first."""
    place = downloaded_weights(one.model)
    return place if place and given_base(wildcards).file == str(place) else given(one.given_base)


def shipped(place):
    """Return a file of the workflow; Snakemake records its place within it, not where a version is unpacked."""
    path = ROOT / place
    path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return local(sourcecache_entry(str(path), place))


def provided(place):
    """Return a file that a setting names: the user's, without a module's prefix, or one of the workflow."""
    is_shipped = not Path(place).exists() and (ROOT / place).exists()
    return shipped(place) if is_shipped else local(str(Path(place)))


def given(model):
    """Return the files of a model that others made."""
    return [local(file) for file in of_others.files(model)]


def prepared(what, name):
    return f"{config['data']}/{name}/{PREPARED[what]}"


@checked
def preparation_times(wildcards):
    rows = {name: catalogue().datasets[name] for name in study(wildcards).datasets}
    steps = {name: "prepare_questions" if rows[name].has_questions else "prepare" for name in rows}
    return [f"{config['data']}/benchmarks/{step}/{name}.tsv" for name, step in steps.items()]


@of_experiment
def base(one, wildcards):
    """Return the weights of what is to forget."""
    return in_experiment(wildcards, one.base_place.format(**wildcards))


@of_experiment
def first_base(one, wildcards):
    """Return the base before all requests, for methods that mind what was forgotten before."""
    is_needed = method_name(wildcards) == methods.NO_CONFLICT
    return [in_experiment(wildcards, "base.safetensors")] if is_needed else []


@of_experiment
def start_of_point(one, wildcards):
    """Return the model at which the fine-tuning of a point starts."""
    return in_experiment(wildcards, one.start_of(wildcards.point).format(**wildcards))


@checked
def start_of_training(wildcards):
    """Return the model at which Original and Retrain start, if not with random weights."""
    place = training(wildcards).start
    return in_experiment(wildcards, place) if place else []


def role_inputs(*roles):
    """Look up the files that give the items of some roles, or of all."""

    @of_experiment
    def look_up(one, wildcards):
        places = {}
        for name, (kind, what) in one.inputs(
            wildcards.task, roles or one.scored(wildcards.task)
        ).items():
            is_prepared = kind in PREPARED
            places[name] = prepared(kind, what) if is_prepared else in_experiment(wildcards, what)
        return places

    return look_up


def in_task(place, by):
    """Look up paths in the task's folder: what `place` returns for the experiment and a wildcard.

    With `table` or `figure` it is that of each method which the table or figure shows.
    """

    @of_experiment
    def look_up(one, wildcards):
        names = shown_methods(by)(wildcards) if by in ("table", "figure") else [wildcards[by]]
        found = dict.fromkeys(file for name in names for file in place(one, name))
        return [in_experiment(wildcards, f"{wildcards.task}/{file}") for file in found]

    return look_up


def in_study(place, of):
    """Look up paths in the study's folder: what `place` returns for the study and a part of it, by name."""

    @checked
    def look_up(wildcards):
        found = place(study(wildcards), of(wildcards))
        return {
            name: [f"{folder(wildcards)}/{file.format(**wildcards)}" for file in files]
            for name, files in found.items()
        }

    return look_up


@checked
def forgotten_classes(wildcards):
    """Return the class names of the data set whose images are forgotten."""
    found = experiment(wildcards).inputs(wildcards.task, ("forget",))
    name = next(what for kind, what in found.values() if kind == "images")
    return catalogue().class_names(name)
