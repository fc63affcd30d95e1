# Look-ups in the study that a path names. A mistake in a study ends Snakemake with one line.
import sys
from functools import cache, wraps
from operator import attrgetter
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parent
LIBRARY = ROOT / "workflow" / "scripts" / "negmerge"
sys.path.insert(0, str(LIBRARY.parent))

from negmerge import places, plugins
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


def setting(place, of=experiment):
    """A look-up of one setting, e.g. `coefficients.values`."""
    return lambda wildcards: attrgetter(place)(of(wildcards))


def row(kind):
    """A look-up of the row of `config/{kind}.yaml` for the wildcard `dataset`."""
    rows = getattr(catalogue(), kind)
    return lambda wildcards: find("data set", wildcards.dataset, rows).model_dump()


def model(wildcards):
    return catalogue().models[experiment(wildcards).model].model_dump()


def pretrain(wildcards):
    return experiment(wildcards).pretraining(catalogue().prompts)


@checked
def recipe(wildcards):
    return experiment(wildcards).recipe(wildcards.task, wildcards.point).model_dump()


def options(wildcards):
    return find("method", wildcards.method, experiment(wildcards).methods)


def exhibit(kind):
    """A look-up of the `table` or `figure` that a path names."""
    return lambda wildcards: find(kind, wildcards[kind], getattr(study(wildcards), f"{kind}s"))


def gpus(wildcards):
    return int(study(wildcards).device == "cuda")


def job_seed(wildcards, output):
    """A seed from the study's seed and the place of the job's output in the study."""
    place = output[0].partition(f"results/{wildcards.study}/")[2]
    return derive_seed(study(wildcards).seed_of(wildcards.experiment), place)


def shipped(path):
    """A file of the workflow, relative where the workflow runs in its own folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@checked
def code(script, **choices):
    """The files of the library that a script reaches, and those of the choices by folder."""
    files = [LIBRARY.parent / f"{script}.py"]
    files += [plugins.path(folder, name) for folder, name in choices.items()]
    reached = {path for file in files for path in import_closure(file, LIBRARY)}
    return [shipped(path) for path in sorted(reached)]


def images(name):
    return f"{config['data']}/{name}/images.safetensors"


def preparation_times(wildcards):
    names = study(wildcards).datasets
    return [f"{config['data']}/benchmarks/prepare/{name}.tsv" for name in names]


def source_files(wildcards):
    return [shipped(ROOT / path) for path in row("datasets")(wildcards)["files"].values()]


def pretraining_data(wildcards):
    settings = experiment(wildcards).pretrain
    return [images(name) for name in settings.sources] if settings else []


def role_inputs(*roles):
    """A look-up of images and head of the sets in these roles: forget, control."""

    def look_up(wildcards):
        sets = experiment(wildcards).datasets(wildcards.task)
        heads = f"results/{wildcards.study}/{wildcards.experiment}/heads"
        data = {f"{role}_data": images(sets[role]) for role in roles}
        return data | {f"{role}_head": f"{heads}/{sets[role]}.safetensors" for role in roles}

    return checked(look_up)


def in_task(place, by):
    """A look-up of paths in the task's folder: `place` of the experiment and a wildcard."""

    def look_up(wildcards):
        folder = f"results/{wildcards.study}/{wildcards.experiment}/{wildcards.task}"
        return [f"{folder}/{found}" for found in place(experiment(wildcards), wildcards[by])]

    return checked(look_up)


def in_study(place, of):
    """A look-up of paths in the study's folder: `place` of the study and a part of it, by name."""

    def look_up(wildcards):
        folder = f"results/{wildcards.study}"
        found = place(study(wildcards), of(wildcards))
        return {name: [f"{folder}/{file}" for file in files] for name, files in found.items()}

    return look_up


def published_cells(wildcards):
    names = exhibit("table")(wildcards).published
    return [shipped(ROOT / "config" / "published" / f"{name}.csv") for name in names]
