# Look-ups for the rules: which settings a job's script gets, and what it asks of the machine. Each looks into
# the study that a path names. A mistake in a study ends Snakemake with one line.
import gc
import os
import re
import sys
from functools import cache, wraps
from inspect import signature
from operator import attrgetter
from pathlib import Path

LIBRARY = ROOT / "workflow" / "scripts" / "negmerge"
# This process and its jobs import the library of this checkout, whatever is installed; in a container too.
sys.path.insert(0, str(LIBRARY.parent))
places = [str(LIBRARY.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, dict.fromkeys(places))))
os.environ.update(APPTAINERENV_PYTHONPATH=str(LIBRARY.parent))

import negmerge
from negmerge import paths, plugins
from negmerge.errors import UserError, find
from negmerge.files import require_writable
from negmerge.jobs import needs as work
from negmerge.jobs.work import load_costs
from negmerge.jobs.dependencies import code_digest
from negmerge.jobs.job import count_gpus
from negmerge.reporting.kinds import figure_kind, table_kind
from negmerge.seeds import derive_seed
from negmerge.settings import methods
from negmerge.settings.catalogue import load_catalogue
from negmerge.settings.study import load_study


# The image of `--sdm apptainer`, made from the Dockerfile. It holds the conda environments, for
# `--sdm conda apptainer`, and a Python with all packages, for `--sdm apptainer`.
containerized: config.get("container", "negmerge.sif")


# A plan has thousands of objects that all stay; the search for garbage among them took a tenth of a dry run.
gc.set_threshold(200_000, 50, 100)

if Path(negmerge.__file__).parent != LIBRARY:
    sys.exit(f"error: two versions of the workflow in one run: {LIBRARY}, {negmerge.__file__}")


def checked(look_up):
    """Make a look-up end with one line and status 1 where the user has made a mistake."""

    @wraps(look_up)
    def wrapper(*arguments, **named):
        try:
            return look_up(*arguments, **named)
        except UserError as error:
            sys.exit(f"error: {error}")

    # Snakemake asks for it 30 times a job, which would take a tenth of the time of a dry run.
    wrapper.__signature__ = signature(look_up)
    return wrapper


find = checked(find)
require_writable = checked(require_writable)
# The main process checks the options of methods; the jobs, which read the study again, need not.
is_main = workflow.is_main_process


def uses_of(*kinds):
    """Match the names of all uses of methods of some kinds, such as `negmerge-4`."""
    names = [name for name, kind in methods.known().items() if kind in kinds]
    return rf"(?:{'|'.join(names)})(?:-[\w-]+)?"


# Methods that train, methods that subtract vectors, and those of them that measure to merge.
UNLEARN_METHOD, MERGE_METHOD = uses_of("unlearn"), uses_of(*methods.CHOSEN)
MEASURED_METHOD = uses_of("greedy")
# Settings in the working folder, the user's, take precedence over those of the workflow.
CONFIG = (Path("config"), ROOT / "config")
read_study = cache(checked(lambda name: load_study(CONFIG, name, options=is_main)))
catalogue = cache(checked(lambda: load_catalogue(CONFIG)))


def intermediate(path):
    """Mark a checkpoint that only other jobs need: `checkpoints` in config.yaml says whether it is kept."""
    config.setdefault("intermediate", []).append(re.sub(r"{\w+}", "*", path))
    marks = {"all": str, "needed": temp}
    return find("value of checkpoints", config.get("checkpoints", "all"), marks)(path)


def study(wildcards):
    return read_study(wildcards.study)


@cache
def experiment_of(study, name):
    return find("experiment", name, read_study(study).experiments)


def experiment(wildcards):
    return experiment_of(wildcards.study, wildcards.experiment)


def of_experiment(look_up):
    """Give a look-up the experiment that a path names, and then the wildcards."""
    return checked(lambda wildcards: look_up(experiment(wildcards), wildcards))


def setting(place):
    """Look up one setting, such as `coefficients.values`."""
    return of_experiment(lambda one, _: attrgetter(place)(one))


def of_method(name):
    """Look up what an experiment says about the wildcard `method`."""
    return of_experiment(lambda one, wildcards: getattr(one, name)(wildcards.method))


def folder(wildcards, *levels):
    """Return the folder of the results of a study, or of an `experiment` and `task` in it."""
    return str(Path("results", wildcards.study, *(wildcards[level] for level in levels)))


def in_experiment(wildcards, place):
    """Return a file of an experiment, or of the one that it repeats, where no seed decides the file."""
    home = experiment(wildcards).home(wildcards.experiment, place)
    return f"results/{wildcards.study}/{home}/{place}"


scenario = of_experiment(
    lambda one, wildcards: one.job(wildcards.task, catalogue())
    | {"compute": study(wildcards).compute.model_dump()}
)
model = of_experiment(lambda one, _: catalogue().models[one.model].contents())
training = of_experiment(lambda one, wildcards: one.training(wildcards.trained))
given_model = of_experiment(lambda one, wildcards: one.given_model(wildcards.task, wildcards.point))
given_retrain = of_experiment(lambda one, wildcards: one.given_retrain(wildcards.task))
re_estimates = setting("re_estimates")
method_name = checked(lambda wildcards: methods.base_name(wildcards.method))


@of_experiment
def validation(one, wildcards):
    return {
        "batch_size": one.eval_batch_size,
        "most": one.selection.images,
        "re_estimates": one.re_estimates,
        "seed": task_seed("evaluation")(wildcards),
        "halves": bool(one.halved),
        "unlabelled": "test" if "unlabelled" in one.selection.criteria.values() else None,
    }


@cache
def drawn_sweeps(study):
    return paths.drawn_sweeps(read_study(study))


@checked
def measuring(wildcards):
    """Find out which candidates of a method have sweeps of their own, and which its own job measures."""
    place, drawn = f"{wildcards.experiment}/{wildcards.task}", drawn_sweeps(wildcards.study)
    return paths.measuring(experiment(wildcards), place, wildcards.method, drawn)


def shared_sweeps(wildcards):
    task = folder(wildcards, "experiment", "task")
    return [f"{task}/{place}" for place in measuring(wildcards).swept]


@of_experiment
def choosing(one, wildcards):
    return {
        "criteria": one.choices,
        "keep": one.selection.keep,
        "coefficients": one.tried_coefficients,
        "halvings": one.selection.halvings,
        "is_pruned": measuring(wildcards).is_pruned,
        "roles": one.selection_roles,
        "options": one.searched_options(wildcards.method),
    }


def shown(what):
    """Look up the `table` or `figure` that a path names."""
    return checked(
        lambda wildcards: find(what, wildcards[what], getattr(study(wildcards), f"{what}s"))
    )


def kind_of(what):
    """Look up the kind of the `table` or `figure` that a path names."""
    load = {"table": table_kind, "figure": figure_kind}[what]
    return checked(lambda wildcards: load(shown(what)(wildcards).kind))


def shown_methods(what):
    """Look up the methods that the `table` or `figure` of a path shows."""
    return checked(lambda wildcards: shown(what)(wildcards).method_names)


# What a job asks of the machine, and what makes it run again: seeds and code.
@checked
def gpus(wildcards):
    return int((config.get("device") or study(wildcards).device) == "cuda")


# On one machine, as many jobs use a GPU at a time as there are GPUs, unless the command or a profile says
# another number. It cannot stand in profiles/default, which a cluster reads too: that counts its own GPUs.
if is_main and workflow.resource_settings.nodes is None and (there := count_gpus()):
    workflow.global_resources.setdefault("gpu", there)


def environment(usual, **own):
    """Look up the conda environment; some scenarios have their own."""
    return checked(lambda wildcards: own.get(experiment(wildcards).scenario, usual))


def with_loaders(torch_threads):
    """Look up the threads; on a GPU, further processes load the images."""
    return checked(lambda wildcards: torch_threads + work.LOADERS * gpus(wildcards))


@checked
def case(wildcards):
    known = dict(wildcards.items()), catalogue(), costs
    if "experiment" not in wildcards.keys():
        return work.Case(*known)
    device, precision = "cuda" if gpus(wildcards) else "cpu", study(wildcards).compute.precision
    drawn = drawn_sweeps(wildcards.study)
    return work.Case(*known, experiment(wildcards), precision, device, drawn)


costs = checked(load_costs)(CONFIG)


def needs(step, mem_mb=None, gpu=False, disk=False):
    """Return the resources of a job, from what its step does; `mem_mb` where no model decides the memory."""
    resources = {name: checked(look_up) for name, look_up in work.look_ups(step, case).items()}
    if mem_mb:
        resources["mem_mb"] = lambda wildcards, attempt: attempt * mem_mb
    if not disk:
        del resources["disk_mb"]
    return resources | ({"gpu": gpus} if gpu else {})


def job_seed(level):
    """Derive the seed of a job from the study's seed for a level of randomness and from its output's path."""

    @checked
    def look_up(wildcards, output):
        place = output[0].partition(f"results/{wildcards.study}/")[2]
        return derive_seed(study(wildcards).seed_of(wildcards.experiment, level), place)

    return look_up


def task_seed(level):
    """Derive a seed that all models of a task share, so that they begin or are measured alike."""

    @checked
    def look_up(wildcards):
        seed = study(wildcards).seed_of(wildcards.experiment, level)
        return derive_seed(seed, f"{wildcards.experiment}/{wildcards.task}")

    return look_up


@cache
@checked
def code(script, **choices):
    """Return a checksum of the library's files that a script imports, and of chosen files by folder."""
    files = [LIBRARY.parent / f"{script}.py"]
    for folder, names in choices.items():
        names = [names] if isinstance(names, str) else names
        files += [plugins.path(folder, name) for name in names]
    return code_digest(files, LIBRARY)


def job_code(script, **look_ups):
    """Look up that checksum for a script that works on a task of the experiment's scenario."""

    @checked
    def look_up(wildcards):
        choices = {folder: choice(wildcards) for folder, choice in look_ups.items()}
        return code(script, **{plugins.SCENARIO_JOBS: experiment(wildcards).scenario}, **choices)

    return look_up


def kind_code(what, folder):
    """Look up that checksum for a script that makes a kind of table or figure."""
    scenarios = {plugins.SCENARIO_SETTINGS: plugins.names(plugins.SCENARIO_SETTINGS)}
    return checked(
        lambda wildcards: code(what, **{folder: shown(what)(wildcards).kind}, **scenarios)
    )
