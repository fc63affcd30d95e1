# Look-ups in the study that a path names. A mistake in a study ends Snakemake with one line.
import sys
from functools import cache, wraps
from operator import attrgetter
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parent
LIBRARY = ROOT / "workflow" / "scripts" / "negmerge"
sys.path.insert(0, str(LIBRARY.parent))

from negmerge import methods, places, plugins
from negmerge.catalogue import load_catalogue
from negmerge.dependencies import code_digest
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


def prompts(wildcards):
    return find("data set", wildcards.dataset, catalogue().prompts).model_dump()


def model(wildcards):
    return catalogue().models[experiment(wildcards).model].model_dump()


def pretrain(wildcards):
    return experiment(wildcards).pretraining(catalogue().prompts)


@checked
def scenario(wildcards):
    return experiment(wildcards).job(wildcards.task, catalogue())


@checked
def recipe(wildcards):
    return experiment(wildcards).recipe(wildcards.task, wildcards.point).model_dump()


def of_method(name):
    """A look-up of what an experiment says of the wildcard `method`."""
    return checked(lambda wildcards: getattr(experiment(wildcards), name)(wildcards.method))


def validation(wildcards):
    chosen = experiment(wildcards)
    return {
        "most": chosen.selection.images,
        "re_estimates": chosen.re_estimates,
        "workers": chosen.evaluation_workers,
    }


def method_name(wildcards):
    return methods.base_name(wildcards.method)


def is_trained(wildcards):
    return places.is_trained(wildcards.method)


def exhibit(kind):
    """A look-up of the `table` or `figure` that a path names."""
    return lambda wildcards: find(kind, wildcards[kind], getattr(study(wildcards), f"{kind}s"))


def gpus(wildcards):
    return int(study(wildcards).device == "cuda")


def job_seed(level):
    """A look-up of a seed: of the study's for a level, and the place of the job's output."""

    def look_up(wildcards, output):
        place = output[0].partition(f"results/{wildcards.study}/")[2]
        return derive_seed(study(wildcards).seed_of(wildcards.experiment, level), place)

    return look_up


def shipped(path):
    """A file of the workflow, relative where the workflow runs in its own folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


@cache
@checked
def code(script, **choices):
    """A checksum of what a script reaches in the library, and of the choices by folder."""
    chosen = [plugins.path(folder, name) for folder, name in choices.items()]
    return code_digest([LIBRARY.parent / f"{script}.py", *chosen], LIBRARY)


def job_code(script, **look_ups):
    """A look-up of the checksum of what a script reaches, in the experiment's scenario."""

    def look_up(wildcards):
        choices = {folder: choice(wildcards) for folder, choice in look_ups.items()}
        return code(script, **{plugins.SCENARIOS: experiment(wildcards).scenario}, **choices)

    return look_up


def images(name):
    return f"{config['data']}/{name}/images.safetensors"


def preparation_times(wildcards):
    names = study(wildcards).datasets
    return [f"{config['data']}/benchmarks/prepare/{name}.tsv" for name in names]


def dataset(wildcards):
    return find("data set", wildcards.dataset, catalogue().datasets)


def contents(wildcards):
    return dataset(wildcards).contents()


def preparation_minutes(wildcards):
    return 30 + round(dataset(wildcards).gigabytes)


def source_files(wildcards):
    """A download is what its checksum says: that it is newer than what was made of it is nothing."""
    chosen = dataset(wildcards)
    folder = f"{config['data']}/downloads/{chosen.shares or wildcards.dataset}"
    return [
        shipped(ROOT / file) if isinstance(file, str) else ancient(f"{folder}/{file.name}")
        for file in chosen.files.values()
    ]


def download_of(wildcards):
    return find("file", wildcards.file, dataset(wildcards).downloads).model_dump()


def pretraining_data(wildcards):
    settings = experiment(wildcards).pretrain
    return [images(name) for name in settings.sources] if settings else []


def base(wildcards):
    folder = f"results/{wildcards.study}/{wildcards.experiment}"
    return f"{folder}/{experiment(wildcards).BASE}".format(**wildcards)


def role_inputs(*roles):
    """A look-up of the images in some roles, or all, and of what else tells what they are."""

    def look_up(wildcards):
        chosen = experiment(wildcards)
        folder = f"results/{wildcards.study}/{wildcards.experiment}"
        found = chosen.inputs(wildcards.task, roles or chosen.ROLES)
        return {
            name: images(what) if kind == "images" else f"{folder}/{what}"
            for name, (kind, what) in found.items()
        }

    return checked(look_up)


re_estimates = setting("re_estimates")


def statistics_data(wildcards):
    """What re-estimates the statistics of batch normalisation, where a study wants that."""
    return role_inputs()(wildcards) if re_estimates(wildcards) else {}


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
