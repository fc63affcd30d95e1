# Look-ups in the study that a path names. A mistake in a study ends Snakemake with one line.
import sys
from functools import cache, wraps
from operator import attrgetter
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parent
LIBRARY = ROOT / "workflow" / "scripts" / "negmerge"
sys.path.insert(0, str(LIBRARY.parent))

from negmerge import plugins
from negmerge.catalogue import load_catalogue
from negmerge.dependencies import import_closure
from negmerge.errors import UserError, find
from negmerge.seeds import derive_seed
from negmerge.study import load_study


def checked(look_up):
    """Turn a user's mistake into one line and exit status 1."""

    @wraps(look_up)
    def wrapper(*arguments, **named):
        try:
            return look_up(*arguments, **named)
        except UserError as error:
            sys.exit(f"error: {error}")

    return wrapper


find = checked(find)
read_study = cache(checked(lambda name: load_study(ROOT / "config", name)))
catalogue = cache(checked(lambda: load_catalogue(ROOT / "config")))


def study(wildcards):
    return read_study(wildcards.study)


def experiment(wildcards):
    return find("experiment", wildcards.experiment, study(wildcards).experiments)


def task(wildcards):
    tasks = experiment(wildcards).tasks
    return find("task", wildcards.task, dict(zip(tasks, tasks)))


def setting(place):
    """A look-up of one setting of the experiment, e.g. `coefficients.values`."""
    return lambda wildcards: attrgetter(place)(experiment(wildcards))


def row(kind):
    """A look-up of the row of `config/{kind}.yaml` for the wildcard `dataset`."""
    rows = getattr(catalogue(), kind)
    return lambda wildcards: find("data set", wildcards.dataset, rows).model_dump()


def model(wildcards):
    return catalogue().models[experiment(wildcards).model].model_dump()


def pretrain(wildcards):
    return experiment(wildcards).pretraining(catalogue().prompts)


def recipe(wildcards):
    return experiment(wildcards).recipe(task(wildcards), wildcards.point).model_dump()


def options(wildcards):
    return find("method", wildcards.method, experiment(wildcards).methods)


def table(wildcards):
    return find("table", wildcards.table, study(wildcards).tables)


def figure(wildcards):
    return find("figure", wildcards.figure, study(wildcards).figures)


def shipped(path):
    """A file of the workflow, relative where the workflow runs in its own folder."""
    return str(
        path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    )


@checked
def code(script, **choices):
    """The files of the library that a script reaches, and those of the choices by folder."""
    files = [LIBRARY.parent / f"{script}.py"]
    files += [plugins.path(folder, name) for folder, name in choices.items()]
    reached = {path for file in files for path in import_closure(file, LIBRARY)}
    return [shipped(path) for path in sorted(reached)]


def device(wildcards):
    return study(wildcards).device


def gpus(wildcards):
    return int(device(wildcards) == "cuda")


def job_seed(wildcards, output):
    """A seed from the study's seed and the place of the job's output in the study."""
    place = output[0].partition(f"results/{wildcards.study}/")[2]
    return derive_seed(study(wildcards).seed_of(wildcards.experiment), place)


def images(name):
    return f"{config['data']}/{name}/images.safetensors"


def source_files(wildcards):
    files = row("datasets")(wildcards)["files"].values()
    return [shipped(ROOT / path) for path in files]


def pretraining_data(wildcards):
    settings = pretrain(wildcards)
    return (
        [images(source["name"]) for source in settings["sources"]] if settings else []
    )


def role_inputs(*roles):
    """A look-up of the images and the head of the sets in these roles: forget, control."""

    def look_up(wildcards):
        sets = {"forget": task(wildcards), "control": experiment(wildcards).control}
        heads = f"results/{wildcards.study}/{wildcards.experiment}/heads"
        data = {f"{role}_data": images(sets[role]) for role in roles}
        return data | {
            f"{role}_head": f"{heads}/{sets[role]}.safetensors" for role in roles
        }

    return look_up


def in_task(wildcards, places):
    """Paths inside the folder of the wildcards' task."""
    folder = f"results/{wildcards.study}/{wildcards.experiment}/{task(wildcards)}"
    return [f"{folder}/{place}" for place in places]


def vectors(names):
    """A look-up of the files of vectors, by a look-up of their names."""
    return lambda wildcards: in_task(
        wildcards, map(experiment(wildcards).vector_place, names(wildcards))
    )


def candidates(wildcards):
    options(wildcards)
    return experiment(wildcards).candidates(wildcards.method)


def candidate_sweeps(wildcards):
    return in_task(wildcards, [f"sweeps/{name}.csv" for name in candidates(wildcards)])
