# Look-ups in the study that a path names. A mistake in a study ends Snakemake with one line.
import gc
import os
import re
import sys
from functools import cache, wraps
from inspect import signature
from operator import attrgetter
from pathlib import Path

LIBRARY = ROOT / "workflow" / "scripts" / "negmerge"
# The library of this workflow, here and in its jobs, whatever is installed.
sys.path.insert(0, str(LIBRARY.parent))
places = [str(LIBRARY.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, dict.fromkeys(places))))

import negmerge
from negmerge import paths, plugins
from negmerge.settings import methods
from negmerge.settings.catalogue import load_catalogue
from negmerge.errors import UserError, find
from negmerge.files import require_writable
from negmerge.reporting.kinds import figure_kind, table_kind
from negmerge.settings.study import load_study

# A plan of thousands of jobs is no garbage; looking for it took a tenth of a dry run.
gc.set_threshold(200_000, 50, 100)

if Path(negmerge.__file__).parent != LIBRARY:
    sys.exit(f"error: two versions of the workflow in one run: {LIBRARY}, {negmerge.__file__}")
if "keep" in config:
    sys.exit("error: config.yaml: unknown key 'keep'; it is now 'checkpoints'")


def checked(look_up):
    """Turn a user's mistake into one line and exit status 1."""

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
# A job on a cluster reads the study too, but the main process has already checked the methods' options.
is_main = workflow.is_main_process
# The names of methods that train, and measure what they have trained.
UNLEARN_METHOD = rf"(?:{'|'.join(plugins.names(plugins.UNLEARN_METHODS))})(?:-[\w-]+)?"
# The user's settings, in the working folder, go before the shipped ones.
CONFIG = (Path("config"), ROOT / "config")
read_study = cache(checked(lambda name: load_study(CONFIG, name, options=is_main)))
catalogue = cache(checked(lambda: load_catalogue(CONFIG)))


def intermediate(path):
    """A checkpoint on the way to the numbers: `checkpoints` says whether it stays; records note it."""
    config.setdefault("intermediate", []).append(re.sub(r"{\w+}", "*", path))
    marks = {"all": str, "needed": temp}
    return find("value of checkpoints", config.get("checkpoints", "all"), marks)(path)


@checked
def study(wildcards):
    return read_study(wildcards.study)


@checked
def experiment(wildcards):
    return find("experiment", wildcards.experiment, study(wildcards).experiments)


def setting(place, of=experiment):
    """A look-up of one setting, e.g. `coefficients.values`."""
    return checked(lambda wildcards: attrgetter(place)(of(wildcards)))


@checked
def prompts(wildcards):
    return find("data set", wildcards.dataset, catalogue().prompts).model_dump()


@checked
def model(wildcards):
    return catalogue().models[experiment(wildcards).model].model_dump()


@checked
def pretrain(wildcards):
    return experiment(wildcards).pretraining(catalogue().prompts)


@checked
def scenario(wildcards):
    computing = {"compute": study(wildcards).compute.model_dump()}
    return experiment(wildcards).job(wildcards.task, catalogue()) | computing


@checked
def recipe(wildcards):
    return experiment(wildcards).recipe(wildcards.task, wildcards.point).model_dump()


def of_method(name):
    """A look-up of what an experiment says about the wildcard `method`."""
    return checked(lambda wildcards: getattr(experiment(wildcards), name)(wildcards.method))


@checked
def validation(wildcards):
    chosen = experiment(wildcards)
    return {
        "batch_size": chosen.eval_batch_size,
        "most": chosen.selection.images,
        "re_estimates": chosen.re_estimates,
        "seed": task_seed("evaluation")(wildcards),
    }


@checked
def method_name(wildcards):
    return methods.base_name(wildcards.method)


def shown(what):
    """A look-up of the `table` or `figure` that a path names."""
    return checked(
        lambda wildcards: find(what, wildcards[what], getattr(study(wildcards), f"{what}s"))
    )


def kind_of(what):
    """A look-up of the kind of the `table` or `figure` that a path names."""
    load = {"table": table_kind, "figure": figure_kind}[what]
    return checked(lambda wildcards: load(shown(what)(wildcards).kind))


def shown_methods(what):
    """A look-up of the methods in the `table` or `figure` that a path names."""
    return checked(lambda wildcards: shown(what)(wildcards).method_names)


re_estimates = setting("re_estimates")
