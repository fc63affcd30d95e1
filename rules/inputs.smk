# Look-ups of input files: what a job reads, and where it is.
from negmerge.settings.datasets import PREPARED


def shipped(path):
    """A file of the workflow, relative where the workflow runs in its own folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def prepared(what, name):
    return f"{config['data']}/{name}/{PREPARED[what]}"


def images(name):
    return prepared("images", name)


@checked
def preparation_times(wildcards):
    steps = {False: "prepare", True: "prepare_questions"}
    rows = {name: catalogue().datasets[name] for name in study(wildcards).datasets}
    return [
        f"{config['data']}/benchmarks/{steps[row.has_questions]}/{name}.tsv"
        for name, row in rows.items()
    ]


@checked
def pretraining_data(wildcards):
    settings = experiment(wildcards).pretrain
    return [images(name) for name in settings.sources] if settings else []


@checked
def base(wildcards):
    folder = f"results/{wildcards.study}/{wildcards.experiment}"
    return f"{folder}/{experiment(wildcards).base_place}".format(**wildcards)


@checked
def start(wildcards):
    """Where fine-tuning starts."""
    folder = f"results/{wildcards.study}/{wildcards.experiment}"
    return f"{folder}/{experiment(wildcards).start_place}".format(**wildcards)


@checked
def training(wildcards):
    return experiment(wildcards).training(wildcards.trained)


@checked
def start_of_training(wildcards):
    """Where the training of Original or Retrain starts, if not with random weights."""
    place = training(wildcards).start
    return f"results/{wildcards.study}/{wildcards.experiment}/{place}" if place else []


@checked
def untouched(wildcards):
    folder = f"results/{wildcards.study}/{wildcards.experiment}"
    return [f"{folder}/{place}" for place in experiment(wildcards).UNTOUCHED]


def role_inputs(*roles):
    """A look-up of the images in some roles, or all, and of what else tells what they are."""

    @checked
    def look_up(wildcards):
        chosen = experiment(wildcards)
        folder = f"results/{wildcards.study}/{wildcards.experiment}"
        found = chosen.inputs(wildcards.task, roles or chosen.ROLES)
        return {
            name: prepared(kind, what) if kind in PREPARED else f"{folder}/{what}"
            for name, (kind, what) in found.items()
        }

    return look_up


def in_task(place, by):
    """A look-up of paths in the task's folder: `place` of the experiment and a wildcard."""

    @checked
    def look_up(wildcards):
        folder = f"results/{wildcards.study}/{wildcards.experiment}/{wildcards.task}"
        return [f"{folder}/{found}" for found in place(experiment(wildcards), wildcards[by])]

    return look_up


def of_shown(place, what):
    """A look-up of paths in the task's folder: `place` of each method that a table or figure shows."""

    @checked
    def look_up(wildcards):
        folder = f"results/{wildcards.study}/{wildcards.experiment}/{wildcards.task}"
        chosen = experiment(wildcards)
        found = [file for name in shown_methods(what)(wildcards) for file in place(chosen, name)]
        return [f"{folder}/{file}" for file in dict.fromkeys(found)]

    return look_up


def in_study(place, of):
    """A look-up of paths in the study's folder: `place` of the study and a part of it, by name."""

    @checked
    def look_up(wildcards):
        folder = f"results/{wildcards.study}"
        found = place(study(wildcards), of(wildcards))
        return {
            name: [f"{folder}/{file.format(**wildcards)}" for file in files]
            for name, files in found.items()
        }

    return look_up


@checked
def published_cells(wildcards):
    names = shown("table")(wildcards).published
    return [shipped(ROOT / "config" / "published" / f"{name}.csv") for name in names]


@checked
def forgotten_classes(wildcards):
    """The class names of the data set whose images are forgotten."""
    found = experiment(wildcards).inputs(wildcards.task, ("forget",))
    name = next(what for kind, what in found.values() if kind == "images")
    return catalogue().class_names(name)
