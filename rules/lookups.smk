# Look-ups for the rules: where the files of a job are, which settings its script gets, and what it asks of
# the machine. Each looks into the study that a path names. A mistake in a study ends Snakemake with one line.
import gc
import os
import re
import sys
from functools import cache, wraps
from inspect import signature
from operator import attrgetter
from pathlib import Path

from snakemake.io import sourcecache_entry

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
from negmerge.settings.datasets import PREPARED, choose, differences, use_server
from negmerge.settings.pool import Inputs
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


# Input files.
def downloaded_weights(name):
    """Return the file that a model's row downloads; its checksum is known, so its time does not count."""
    file = catalogue().models[name].download
    return ancient(f"{config['data']}/downloads/{name}/{file.name}") if file else []


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


# What comes from elsewhere: downloads, weights, and models that others made.
of_others = Inputs()
checked(use_server)(config.get("hub_endpoint"))


@cache
@checked
def mirror_of(name):
    """Return the mirror from which a data set is prepared; None for the original source."""
    find("data set", name, catalogue().datasets)
    return choose(name, catalogue().datasets, config["data"], config.get("data_sources"))


def own_place(row, file):
    """Return a file or folder of the user's; where a list names its images, its time stamp does not count."""
    place = provided(file)
    return ancient(place) if row.listed and Path(place).is_dir() else place


def files_of(name):
    """Return the files of a data set. Downloads have checksums, so their time stamps do not count."""
    chosen = find("data set", name, catalogue().datasets)
    downloads = f"{config['data']}/downloads/{chosen.downloads_of or name}"
    return [
        own_place(chosen, file) if isinstance(file, str) else ancient(f"{downloads}/{file.name}")
        for file in (mirror_of(name) or chosen).files.values()
    ]


@checked
def listed_files(wildcards):
    """Return the files that name the user's own images, where the images to forget are given by name."""
    row = catalogue().datasets[experiment(wildcards).dataset]
    is_named = row.listed and experiment(wildcards).forget.file
    names = [name for name in ("images", "list") if name in row.files] if is_named else []
    return [own_place(row, row.files[name]) for name in names]


def weights_of(name):
    """Return the record of fetched weights. It holds their checksum, so its time stamp does not count."""
    fetched = catalogue().fetched(name).is_fetched
    return ancient(f"{config['data']}/weights/{name}") if fetched else []


weights_record = of_experiment(lambda one, _: weights_of(one.model))
# The records of language models that come from the hub, where the study gives no path.
weights_of_original = of_experiment(lambda one, _: [] if one.base else weights_of(one.model))
weights_of_retrain = of_experiment(
    lambda one, wildcards: (
        [] if one.given_retrain(wildcards.task) else weights_of(f"{one.model}.{wildcards.task}")
    )
)


def all_downloads(wildcards):
    """Return all downloads and weights that the study in config.yaml needs from the internet."""
    chosen = read_study(config["study"])
    files = [file for name in chosen.datasets for file in files_of(name)]
    models = {name for one in chosen.experiments.values() for name in one.weights(catalogue())}
    records = [record for name in sorted(models) if (record := weights_of(name))]
    return files + records + [file for name in sorted(models) if (file := downloaded_weights(name))]


@checked
def dataset(wildcards):
    return find("data set", wildcards.dataset, catalogue().datasets)


@checked
def download_of(wildcards):
    file = find("file", wildcards.file, catalogue().downloads(wildcards.dataset)).facts()
    if wildcards.dataset not in catalogue().datasets:
        return file
    row = dataset(wildcards)
    others = [f"{wildcards.dataset}: {name}" for name in row.sources_without(wildcards.file)]
    return file | ({"instead": others} if others else {})


@checked
def source(wildcards):
    """Return the kind of source that reads a data set."""
    return (mirror_of(wildcards.dataset) or dataset(wildcards)).source


def described(study, table):
    """Return the definition of a table, with each column's scenario and how mirrors differ from originals."""
    scenarios = {name: one.scenario for name, one in study.experiments.items()}
    definition = table.model_dump(mode="json")
    for column in definition["columns"]:
        column["scenario"] = scenarios[column["experiments"][0]]
    mirrors = {name: mirror_of(name) for name in study.datasets_of(table)}
    unlike = differences(catalogue().datasets, mirrors)
    unlike += study.cautions(name for column in table.columns for name in column.experiments)
    return definition | ({"differs": unlike} if unlike else {})


@checked
def shown_table(wildcards):
    return described(study(wildcards), shown("table")(wildcards))


@checked
def reported_study(wildcards):
    """Return a study with the definitions of all its tables."""
    chosen = study(wildcards)
    tables = {name: described(chosen, table) for name, table in chosen.tables.items()}
    return chosen.model_dump(mode="json") | {"tables": tables}


@checked
def by_hand_of(wildcards):
    """Return all files that a person has to fetch by hand, so that one message names them all."""
    is_manual = find("file", wildcards.file, catalogue().downloads(wildcards.dataset)).manual
    return catalogue().by_hand(wildcards.dataset) if is_manual else []
