"""What the job of each rule has to do: images through a network, bytes read and written.

All numbers follow from the study's settings. A rule that is not here has unknown work, which a plan
says; it never counts as none.
"""

from collections.abc import Callable, Mapping

from negmerge import artefacts, plugins
from negmerge.planning.case import Case, Work
from negmerge.planning.jobs import Job
from negmerge.planning.networks import Network
from negmerge.selection.refinement import is_scale
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.counts import part_sizes
from negmerge.settings.study import Study


def work_of(job: Job, study: Study, networks: Mapping[str, Network]) -> Work | None:
    """Say what a job does; None if that is not known.

    Args:
        job: the job.
        study: its study.
        networks: by experiment.
    """
    known = study.catalogue
    if job.rule in DATA:
        return DATA[job.rule](job, known)
    if job.rule in SMALL:
        return Work("at most the start of a job")
    if job.rule not in RULES or job.experiment not in networks:
        return None
    case = Case(job, study.experiments[job.experiment], networks[job.experiment], known)
    return RULES[job.rule](case)


def _base(case: Case) -> Work:
    settings = case.experiment.pretrain
    size = case.network.state_bytes + case.network.text_bytes
    if settings is None:
        return Work("weights read and written, as float32", moved=2 * size)
    shown = sum(
        part_sizes(case.known, name)[source.part] * source.repeat
        for name, source in settings.sources.items()
    )
    recipe = settings.recipe
    return Work(
        "epochs x images of all sources", trained=recipe.epochs * shown, workers=recipe.workers
    )


def _head(case: Case) -> Work:
    row = case.known.prompts[case.job.name]
    return Work(
        "templates x classes as prompts, on one core", prompts=len(row.templates) * len(row.classes)
    )


def _train(case: Case) -> Work:
    recipe = case.experiment.train
    role = "original" if case.job.name == "original" else "retain"
    images = recipe.epochs * case.counts[role]["train"]
    return Work("epochs x training images", trained=images, workers=recipe.workers)


def _finetune(case: Case) -> Work:
    recipe = case.experiment.recipe(case.job.task, case.job.name)
    images = recipe.epochs * case.counts["forget"]["train"]
    size = 2 * case.network.state_bytes
    return Work("epochs x images to forget", trained=images, workers=recipe.workers, moved=size)


def _unlearn(case: Case) -> Work:
    """Count the passes of each model that a method trains; what has no epochs reads images once."""
    from negmerge.unlearning.registry import TrainingOptions

    experiment, name = case.experiment, case.job.name
    method = plugins.load(plugins.UNLEARN_METHODS, methods.base_name(name)).METHOD
    use = experiment.methods[name]
    tried = [method.check(name, options) for options in methods.combinations(use)]
    epochs = [one.epochs if isinstance(one, TrainingOptions) else 1 for one in tried]
    # At most: rules that agree, or a choice at the end of the grid, need fewer.
    scales = [option for option, values in use.grid.items() if is_scale(values)]
    beside = case.beside * len(experiment.rule_names) * len(scales)
    used = method.used_data(tried[0])
    read = ("forget", "retain") if used == "all" else (used,)
    images = sum(case.counts[role]["train"] for role in read)
    measured = case.selecting(*experiment.measured_roles)
    return Work(
        "models of the grid, and at most those of all halvings, x epochs x images read",
        trained=images * (sum(epochs) + beside * max(epochs)),
        models=len(tried) + beside,
        passed=(len(tried) + beside + 1) * measured,
        loaded=measured,
        workers=experiment.unlearn.workers,
    )


def _vector(case: Case) -> Work:
    return Work("two states read, one written", moved=3 * case.network.state_bytes)


def _merge(case: Case) -> Work:
    models = len(case.experiment.points(case.job.name))
    return Work("all vectors read, one written", moved=(models + 1) * case.network.state_bytes)


def _sparsity(case: Case) -> Work:
    models = len(case.experiment.points(case.job.name))
    size = (models + 2) * case.network.state_bytes
    return Work("a vector, all those that it was made of, and the base read", moved=size)


def _greedy(case: Case) -> Work:
    experiment = case.experiment
    options = methods.greedy_options(experiment.use(case.job.name).options)
    models = len(experiment.points(case.job.name))
    coefficients = case.coefficients + case.beside
    tried = models * coefficients
    # The first vector stays without a trial; one without a search has a single coefficient.
    tried += (models - 1) * (coefficients if options["search_each_step"] else 1)
    images = case.selecting("forget", case.kept)
    size = (2 * models + 1) * case.network.state_bytes
    return Work(
        "vectors and trials x coefficients x validation images, of which a search takes a share",
        pruned=tried * images,
        passed=images,
        loaded=images,
        moved=size,
    )


def _sweep(case: Case) -> Work:
    images = case.selecting(*case.experiment.measured_roles)
    beside = case.beside * len(case.experiment.rule_names)
    return Work(
        "(coefficients, and at most those of all halvings, + 1) x validation images",
        passed=(case.coefficients + beside + 1) * images,
        loaded=images,
        moved=2 * case.network.state_bytes,
    )


def _measure(case: Case) -> Work:
    images = case.selecting(*case.experiment.measured_roles)
    return Work("2 x validation images", passed=2 * images, loaded=images)


def _search(case: Case) -> Work:
    vectors = len(artefacts.candidates(case.experiment, case.job.name))
    images = case.selecting("forget", case.kept)
    return Work(
        "vectors x coefficients x validation images, of which a search takes a share",
        pruned=vectors * (case.coefficients + case.beside) * images,
        passed=images,
        loaded=images,
        moved=(vectors + 1) * case.network.state_bytes,
    )


def _negate(case: Case) -> Work:
    return Work("two states read, one written", moved=3 * case.network.state_bytes)


def _evaluate(case: Case) -> Work:
    counts, settings = case.counts, case.experiment.relearning
    images = sum(counts[role]["score"] for role in case.experiment.ROLES)
    if settings is None:
        return Work("test images", passed=images, loaded=images)
    # At most: a model that knows the images again stops earlier. They are scored as the original
    # has them, then before the first epoch and after each.
    again, epochs, runs = counts["forget"]["train"], settings["epochs"], settings["seeds"]
    scored = images + again + runs * (epochs + 1) * again
    return Work(
        "images of all roles, and at most all epochs of relearning",
        passed=scored,
        loaded=scored,
        trained=runs * epochs * again,
    )


def _gradcam(case: Case) -> Work:
    images, models = case.counts["forget"]["score"], 1 + len(case.experiment.methods)
    return Work(
        "at most all images to forget, until some of each class are right, and all models read",
        passed=images,
        loaded=images,
        moved=models * case.network.state_bytes,
    )


def _coordinates(case: Case) -> Work:
    models = len(case.experiment.pool.changes) + 1
    return Work("at most all of the vectors read", moved=models * case.network.state_bytes)


def _download(job: Job, known: Catalogue) -> Work:
    dataset, _, name = job.name.partition("/")
    file = known.datasets[dataset].downloads[name]
    if file.manual:
        return Work("by hand: the file is only read, to check it", unpacked=file.bytes)
    return Work("the file's size", fetched=file.bytes)


def _weights(job: Job, known: Catalogue) -> Work:
    hub = known.models[job.name].hub
    return Work("the file's size", fetched=hub.bytes if hub else None)


def _prepare(job: Job, known: Catalogue) -> Work:
    row = known.datasets[job.name]
    sizes = [file.bytes for file in row.downloads.values()]
    total = None if None in sizes else sum(sizes)
    return Work("the sizes of its archives", unpacked=total)


DATA: dict[str, Callable[[Job, Catalogue], Work]] = {
    "download": _download,
    "weights": _weights,
    "prepare": _prepare,
}
SMALL = ("split", "select", "dag", "table", "figure", "report")
RULES: dict[str, Callable[[Case], Work]] = {
    "base": _base,
    "head": _head,
    "train": _train,
    "finetune": _finetune,
    "unlearn": _unlearn,
    "vector": _vector,
    "merge": _merge,
    "greedy": _greedy,
    "sparsity": _sparsity,
    "sweep": _sweep,
    "measure": _measure,
    "search": _search,
    "negate": _negate,
    "evaluate": _evaluate,
    "gradcam": _gradcam,
    "signs": _coordinates,
}
# Those that compute on the study's device; all others use a core.
ON_DEVICE = (
    "base", "head", "train", "finetune", "unlearn", "merge", "greedy", "sweep", "measure", "search",
    "evaluate", "gradcam",
)  # fmt: skip
