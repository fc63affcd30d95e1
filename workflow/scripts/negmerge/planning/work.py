"""What each step of the workflow does: images in training steps and in passes, and bytes.

A function per rule, by its name; a rule without one only starts. They count; `estimates` makes
seconds of it. Where a job may need fewer, it is the most that it can need.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from negmerge.planning.case import Case, Work
from negmerge.planning.memory import Memory, held
from negmerge.selection.refinement import is_scale
from negmerge.settings import methods
from negmerge.settings.catalogue import part_sizes
from negmerge.settings.durability import RELEARNED
from negmerge.settings.options import checked
from negmerge.settings.recipe import Recipe

# Training saves its state on the way: the weights and the optimizer's numbers, once more.
SAVED = 3


def of_rule(rule: str) -> Callable[[Case], Work]:
    """Return what the jobs of a rule do."""
    return globals().get(rule, small)


def small(case: Case) -> Work:
    """Nothing beside the start of a job."""
    return Work()


def download(case: Case) -> Work:
    """Fetch a file; one that a person has put there is only read."""
    file = case.known.datasets[case.wildcards["dataset"]].all_downloads[case.wildcards["file"]]
    size = file.size or case.costs.unknown.file_bytes.value
    return Work(unpacked=size, written=size) if file.manual else Work(fetched=size, written=size)


def weights(case: Case) -> Work:
    """Fetch trained weights, into the cache of the user."""
    hub = case.known.fetched(case.wildcards["model"]).hub
    size = (hub and (hub.bytes or hub.about_bytes)) or case.costs.unknown.file_bytes.value
    return Work(fetched=size, written=size)


def prepare(case: Case) -> Work:
    """Read archives and write their images, for a while twice."""
    name = case.wildcards["dataset"]
    row, unknown = case.known.datasets[name], case.costs.unknown
    read = sum(file.size or unknown.file_bytes.value for file in row.downloads.values())
    image = case.costs.image_bytes.get(name, unknown.image_bytes).value
    size = row.listed.bytes if row.listed else image * sum(row.splits.values())
    return Work(unpacked=read, written=2 * size)


def base(case: Case) -> Work:
    """Pre-train, or read and write weights of others; as an image and a text part."""
    size = case.state + case.cost.text_megabytes * 1e6
    settings, whole = case.experiment.pretrain, replace(case.shape, weights=size)
    if settings is None:
        return Work(moved=2 * size, written=size, memory=held(whole, states=3))
    shown = sum(
        part_sizes(case.known, name)[source.part] * source.repeat
        for name, source in settings.sources.items()
    )
    # The text part keeps of a caption no more than the image part of an image.
    both = replace(whole, trained=2 * whole.trained)
    memory = held(both, states=SAVED, recipe=settings.recipe)
    return case.work(trained=settings.recipe.epochs * shown, written=size, memory=memory)


def head(case: Case) -> Work:
    """Encode a prompt for each template and class."""
    row = case.known.prompts[case.wildcards["dataset"]]
    prompts = len(row.templates) * len(row.classes)
    # A class at a time, whose prompts keep no more than as many images.
    text = replace(case.shape, weights=case.cost.text_megabytes * 1e6)
    return Work(
        flops=prompts * case.cost.text_gflop * 1e9,
        precision=case.precision,
        memory=held(text, states=2, passed=len(row.templates)),
    )


def train(case: Case) -> Work:
    """Train a model on all that it is taught, or on what it should retain."""
    training = case.experiment.training(case.wildcards["trained"])
    images = training.recipe.epochs * case.counts[training.role]["train"]
    memory = held(case.shape, states=1 + SAVED, recipe=training.recipe)
    return case.work(trained=images, written=case.state, memory=memory)


def finetune(case: Case) -> Work:
    """Train the base on what it should forget; write the model and its task vector."""
    recipe = case.experiment.recipe(case.wildcards["task"], case.wildcards["point"])
    images = recipe.epochs * case.counts["forget"]["train"]
    memory = held(case.shape, states=3 + SAVED, recipe=recipe)
    return case.work(trained=images, moved=3 * case.state, written=2 * case.state, memory=memory)


def vector(case: Case) -> Work:
    """Read the base and a given model; write its task vector."""
    return Work(moved=3 * case.state, written=case.state, memory=held(case.shape, states=3))


def original(case: Case) -> Work:
    """Read a given model and write it."""
    return Work(moved=2 * case.state, written=case.state, memory=held(case.shape, states=2))


given_original = given_retrain = original


def merge(case: Case) -> Work:
    """Read all vectors and write one."""
    models = len(case.experiment.points(case.wildcards["method"]))
    return Work(moved=(models + 1) * case.state, written=case.state)


def greedy(case: Case) -> Work:
    """Search the coefficient of each vector and of each trial."""
    name = case.wildcards["method"]
    options = methods.greedy_options(case.experiment.use(name).options)
    models, coefficients = len(case.experiment.points(name)), _coefficients(case)
    # The first vector stays without a trial; one without a search has a single coefficient.
    trials = (models - 1) * (coefficients if options["search_each_step"] else 1)
    # With base and vector: the running sum, the one with a vector more, and the mean.
    how = {"written": case.state, "memory": _validating(case, states=5)}
    return _searched(case, models * coefficients + trials, 2 * models + 1, **how)


def search(case: Case) -> Work:
    """Search a coefficient among those of all candidates."""
    candidates = len(case.experiment.candidates(case.wildcards["method"]))
    how = {"memory": _validating(case, states=2)}
    return _searched(case, candidates * _coefficients(case), candidates + 1, **how)


def sweep(case: Case) -> Work:
    """Measure the base, and a vector at each coefficient, or Retrain once."""
    rules = len(case.experiment.selection.rules)
    images = case.validation(*case.experiment.selection_roles)
    coefficients = 1 if case.wildcards["vector"] == methods.RETRAIN else _coefficients(case, rules)
    return case.work(
        passed=(1 + coefficients) * images,
        loaded=images,
        attack=(1 + coefficients) * case.attack("select"),
        moved=2 * case.state,
        memory=_validating(case, states=2),
    )


def unlearn(case: Case) -> Work:
    """Train a model for each combination of the grid and for each halving, and measure them."""
    experiment, name = case.experiment, case.wildcards["method"]
    use, rules = experiment.methods[name], len(experiment.selection.rules)
    allowed = methods.options_of(name)
    tried = [checked(name, allowed, options) for options in methods.combinations(use)]
    # What has no epochs reads the images once.
    epochs = [getattr(options, "epochs", 1) for options in tried]
    scales = [option for option, values in use.grid.items() if is_scale(values)]
    beside = 2 * experiment.selection.halvings * rules * len(scales)
    of_pass = sum(case.counts[role]["train"] for role in tried[0].passes)
    images = of_pass * tried[0].batches_per_step
    measured = case.validation(*experiment.selection_roles)
    models = len(tried) + beside + 1
    together = experiment.unlearn.batch_size * tried[0].batches_per_step
    recipe = experiment.unlearn.model_copy(update={"batch_size": together})
    return case.work(
        trained=images * (sum(epochs) + beside * max(epochs)),
        passed=models * measured,
        loaded=measured,
        attack=models * case.attack("select"),
        written=rules * case.state,
        # The base and the best models; a method holds masks, a teacher or an old gradient.
        memory=_validating(case, states=2 + 2 * rules, beside=3, recipe=recipe),
    )


def evaluate(case: Case) -> Work:
    """Score the choice of each rule, and teach it again what it forgot, where that is measured."""
    experiment, settings = case.experiment, case.experiment.relearning
    searched = experiment.is_searched(case.wildcards["method"])
    models = len(experiment.selection.rules) if searched else 1
    passed = models * experiment.passes_to_score(case.counts, case.costs.generation.value)
    trained = 0
    if settings is not None:
        # A model that knows the images again stops earlier. They are scored as the original has
        # them, then before the first epoch and after each.
        again, epochs = case.counts["forget"]["train"], settings["epochs"]
        passed += again + models * settings["seeds"] * (epochs + 1) * again
        trained = models * settings["seeds"] * epochs * again
    attack = models * case.attack("score", experiment.attack_features)
    memory = held(case.shape, states=3, passed=experiment.eval_batch_size)
    if settings is not None:
        # The images that are learned again stay as the network takes them.
        recipe = Recipe(epochs=1, batch_size=settings["batch_size"], optimizer="sgd")
        memory = held(
            case.shape, states=3, networks=3, recipe=recipe, passed=experiment.eval_batch_size
        )
        again = case.counts["forget"]["train"] * case.shape.normalised
        memory = replace(memory, states=memory.states + again)
    return case.work(passed=passed, loaded=passed, trained=trained, attack=attack, memory=memory)


def score(case: Case) -> Work:
    """Measure the candidates at each coefficient, or search among them, and score the choices."""
    experiment, scored = case.experiment, evaluate(case)
    models, coefficients = case.measured, _coefficients(case, len(experiment.selection.rules))
    images = case.validation(*experiment.selection_roles)
    passes = models * (1 + coefficients)
    share = case.costs.pruned.value if case.is_pruned else 1
    validating = _validating(case, states=2)
    size = {"device": "cpu", "loaders": 0}
    memory = max(validating, scored.memory, key=lambda one: one.of_machine(case.costs, **size))
    return replace(
        scored,
        passed=scored.passed + share * passes * images,
        loading=scored.loading + case.work(loaded=images if models else 0).loading,
        attack=scored.attack + passes * case.attack("select"),
        moved=scored.moved + (models + 1) * case.state,
        memory=memory,
    )


def durability(case: Case) -> Work:
    """Score the choice of each rule as it is and under all treatments, of which one trains it."""
    experiment, settings = case.experiment, case.experiment.treatment
    searched = experiment.is_searched(case.wildcards["method"])
    models = len(experiment.selection.rules) if searched else 1
    counts = [case.counts[role]["score"] for role in experiment.ROLES[:2]]
    images = sum(min(count, settings.images or count) for count in counts)
    passed = models * (1 + len(settings.treatments)) * images
    again = RELEARNED in settings.treatments
    trained = models * again * settings.relearn.epochs * case.counts["forget"]["train"]
    memory = held(
        case.shape,
        states=3,
        recipe=settings.relearn if again else None,
        passed=experiment.eval_batch_size,
    )
    return case.work(
        passed=passed,
        loaded=passed,
        trained=trained,
        moved=(1 + models) * case.state,
        memory=memory,
    )


def export(case: Case) -> Work:
    """Read two states and write one."""
    return Work(moved=3 * case.state, written=case.state, memory=held(case.shape, states=3))


def gradcam(case: Case) -> Work:
    """Pass the images to forget until some of each class are right, and read all models."""
    images, models = case.counts["forget"]["score"], 1 + len(case.experiment.methods)
    memory = held(case.shape, states=3, passed=case.experiment.eval_batch_size)
    return case.work(passed=images, loaded=images, moved=models * case.state, memory=memory)


def sparsity(case: Case) -> Work:
    """Read the pool, what methods make of it, and the base."""
    vectors = len(case.experiment.pool.changes) + len(case.experiment.methods)
    return Work(moved=(vectors + 1) * case.state)


signs = sparsity


def _coefficients(case: Case, rules: int = 1) -> int:
    """Count the coefficients on the grid and those beside the choice of each rule."""
    grid = len(case.experiment.coefficients.values)
    return grid + 2 * case.experiment.selection.halvings * rules


def _validating(case: Case, states: int, beside: int = 0, recipe: Recipe | None = None) -> Memory:
    """Return what a job holds that measures a moved network on the images which choose.

    On the device lie the base, the network, a vector, and for a moment the moved weights.
    """
    return held(
        case.shape,
        states=states,
        networks=4 + beside,
        recipe=recipe,
        passed=case.experiment.eval_batch_size,
        kept=case.validation(*case.experiment.selection_roles),
    )


def _searched(case: Case, sweeps: int, states: int, **further: Any) -> Work:
    """Return the work of a pruned search; `sweeps` counts vectors x coefficients."""
    images = case.validation("forget", case.experiment.ROLES[1])
    passed = images * (1 + case.costs.pruned.value * sweeps)
    return case.work(passed=passed, loaded=images, moved=states * case.state, **further)
