"""What the steps need: seconds, memory and disk, as rules ask for them.

Each step has a function with the name of its rule. The function says what a job of the step does,
at most. `look_ups` turns that into what the rule asks for.
"""

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

from negmerge import paths
from negmerge.jobs.work import Case, Work
from negmerge.selection.greedy import counts_of_best
from negmerge.selection.search import is_scale
from negmerge.settings import methods
from negmerge.settings.recipe import Recipe

# Processes that load images beside a job that computes on a GPU.
LOADERS = 4
# Training saves its state on the way: the weights and the optimizer's numbers, once more.
SAVED = 3
Step = Callable[[Case], Work]


def small(case: Case) -> Work:
    return Work()


def download(case: Case) -> Work:
    """Fetch a file; one that a person has put there is only read."""
    file = case.known.downloads(case.wildcards["dataset"])[case.wildcards["file"]]
    size = file.size or case.costs.unknown_file
    return Work(unpacked=size, written=size) if file.manual else Work(fetched=size, written=size)


def weights(case: Case) -> Work:
    """Fetch trained weights, into the cache of the user."""
    hub = case.known.fetched(case.wildcards["model"]).hub
    size = (hub and (hub.bytes or hub.about_bytes)) or case.costs.unknown_file
    return Work(fetched=size, written=size)


def prepare(case: Case) -> Work:
    """Read archives and write their images, for a while twice."""
    name = case.wildcards["dataset"]
    row, costs = case.known.datasets[name], case.costs
    read = sum(file.size or costs.unknown_file for file in row.downloads.values())
    image = costs.image_bytes.get(name, costs.unknown_image)
    size = row.listed.bytes if row.listed else image * sum(row.splits.values())
    return Work(unpacked=read, written=2 * size)


def base(case: Case) -> Work:
    """Pre-train, or read and write weights of others; as an image and a text part."""
    size = case.state + case.cost.text_megabytes * 1e6
    settings = case.experiment.pretrain
    if settings is None:
        return Work(moved=2 * size, written=size, memory=case.holds(3, weights=size))
    sources = settings.sources.items()
    shown = sum(case.known.datasets[name].parts[s.part] * s.repeat for name, s in sources)
    # The text part keeps of a caption no more than the image part of an image.
    memory = case.holds(SAVED, recipe=settings.recipe, weights=size, trained=2)
    return case.work(trained=settings.recipe.epochs * shown, written=size, memory=memory)


def head(case: Case) -> Work:
    """Encode a prompt for each template and class, a class at a time."""
    row, text = case.known.prompts[case.wildcards["dataset"]], case.cost.text_megabytes * 1e6
    prompts = len(row.templates) * len(row.classes)
    memory = case.holds(2, passed=len(row.templates), weights=text)
    return Work(flops=prompts * case.cost.text_gflop * 1e9, memory=memory)


def train(case: Case) -> Work:
    """Train a model on all that it is taught, or on what it should retain."""
    training = case.experiment.training(case.wildcards["trained"])
    images = training.recipe.epochs * case.counts[training.role]["train"]
    memory = case.holds(1 + SAVED, recipe=training.recipe)
    return case.work(trained=images, moved=1, written=case.state, memory=memory)


def finetune(case: Case) -> Work:
    """Train the base on what it should forget; write the model and its task vector."""
    recipe = case.experiment.recipe(case.wildcards["task"], case.wildcards["point"])
    role = case.experiment.tuned_on(case.wildcards["point"])
    images = recipe.epochs * case.counts[role]["train"]
    memory = case.holds(3 + SAVED, recipe=recipe)
    return case.work(trained=images, moved=3, written=2 * case.state, memory=memory)


def original(case: Case) -> Work:
    """Read a given model and write it."""
    return case.copying(2)


def vector(case: Case) -> Work:
    """Read the base and a given model; write its task vector."""
    return case.copying(3)


# It reads the base and a vector, and writes the unlearned model.
export = vector


def merge(case: Case) -> Work:
    """Read all vectors and write one, in blocks."""
    vectors = len(case.experiment.points(case.wildcards["method"]))
    return Work(moved=(vectors + 1) * case.state, written=case.state)


def sparsity(case: Case) -> Work:
    """Read the pool, what methods make of it, and the base, in blocks."""
    vectors = len(case.experiment.pool.changes) + len(case.experiment.methods)
    return Work(moved=(vectors + 1) * case.state)


signs = sparsity


def greedy(case: Case) -> Work:
    """Search the coefficient of each vector and of each trial, with fewer passes than sweeps."""
    name, coefficients, images = case.wildcards["method"], case.coefficients, case.validation
    options, models = case.experiment.use(name).options, len(case.experiment.points(name))
    # The first vector stays without a trial; one without a search has a single coefficient.
    searched = methods.special_options(name, options).get("search_each_step", True)
    is_greedy = methods.base_name(name) == "greedy"
    trials = (models if is_greedy else len(counts_of_best(models))) - 1
    tried = models * coefficients + trials * (coefficients if searched else 1)
    return case.work(
        passed=images * (1 + case.costs.pruned * tried),
        loaded=images,
        moves=tried,
        moved=2 * models,
        written=case.state,
        # With base and vector: the running sum, the one with a vector more, and the mean.
        memory=case.validating(5),
    )


def sweep(case: Case) -> Work:
    """Measure the base, and a vector at each coefficient, or Retrain once."""
    is_vector = case.wildcards["vector"] != methods.RETRAIN
    return _measured(case, 1, case.coefficients if is_vector else 1)


def score(case: Case) -> Work:
    """Measure the candidates that are no jobs of their own, choose one, and score the choices."""
    names = (case.wildcards[name] for name in ("experiment", "task"))
    of_method = "/".join(names), case.wildcards["method"]
    how = paths.measuring(case.experiment, *of_method, case.drawn)
    share = case.costs.pruned if how.is_pruned else 1
    if not how.measured:
        return evaluate(case)
    return _measured(case, how.measured, case.coefficients, share) + evaluate(case)


def _measured(case: Case, vectors: int, coefficients: int, share: float = 1) -> Work:
    """Measure the base and vectors at each coefficient, on a share of the images."""
    passes = vectors * (1 + coefficients)
    return case.work(
        passed=share * passes * case.validation,
        loaded=case.validation,
        moves=passes,
        moved=vectors,
        attack=passes * case.attack("select"),
        memory=case.validating(2),
    )


def unlearn(case: Case) -> Work:
    """Train a model for each combination of the grid and for each halving, and measure them."""
    experiment, name = case.experiment, case.wildcards["method"]
    use, criteria = experiment.use(name), len(experiment.selection.criteria)
    method = methods.definition(name)
    tried = [method.check(name, options) for options in methods.combinations(use)]
    # What has no epochs reads the images once.
    epochs = [getattr(options, "epochs", 1) for options in tried]
    scales = [option for option, values in use.grid.items() if is_scale(values)]
    beside = 2 * case.halvings * len(scales)
    batches, models = tried[0].batches_per_step, len(tried) + beside + 1
    vectors = len(paths.taken(experiment, name) + paths.retained(experiment, name))
    members = getattr(tried[0], "members", 1)  # models whose outputs are averaged
    images = batches * sum(case.counts[role]["train"] for role in tried[0].passes)
    recipe = experiment.unlearn
    recipe = recipe.model_copy(update={"batch_size": batches * recipe.batch_size})
    return case.work(
        trained=images * (sum(epochs) + beside * max(epochs)),
        step=case.costs.unlearning,
        passed=members * models * case.validation,
        loaded=case.validation,
        moves=members * models,
        moved=members * criteria + vectors,
        attack=models * case.attack("select"),
        written=members * criteria * case.state,
        # The base, the best models and vectors; a method holds masks, a teacher or an old gradient.
        memory=case.validating(
            2 + 2 * members * criteria + vectors, beside=2 + members + vectors, recipe=recipe
        ),
    )


def evaluate(case: Case) -> Work:
    """Score each criterion's choice, and teach it again what it forgot, where that is asked."""
    experiment, settings, models = case.experiment, case.experiment.relearning, case.models
    # What the model says by itself, in passes of a question with its answer.
    generation = case.costs.generation * 2 * (case.state / 4) / (case.gflop * 1e9)
    passes = experiment.passes_to_score(case.counts, case.known, generation)
    passed = models * passes
    trained, batch = 0, experiment.eval_batch_size
    memory = case.holds(3, passed=batch)
    if settings is not None:
        # A model that knows the images again stops earlier. They are scored as the original has
        # them, then before the first epoch and after each.
        again, epochs = case.counts["forget"]["train"], settings["epochs"]
        passed += again + models * settings["seeds"] * (epochs + 1) * again
        trained = models * settings["seeds"] * epochs * again
        recipe = Recipe(epochs=1, batch_size=settings["batch_size"], optimizer="sgd")
        memory = case.holds(3, networks=3, recipe=recipe, passed=batch)
        # The images that are learned again stay as the network takes them.
        memory = replace(memory, states=memory.states + again * 12 * case.model.size**2)
    attack = models * case.attack("score", experiment.attack_features)
    read = {"moves": models, "moved": models, "loaded": passed}
    return case.work(trained=trained, passed=passed, attack=attack, memory=memory, **read)


def durability(case: Case) -> Work:
    """Score each criterion's choice as it is and under all treatments, of which one trains it."""
    experiment, settings, models = case.experiment, case.experiment.treatment, case.models
    counts = [case.counts[role]["score"] for role in experiment.SCENARIO.roles[:2]]
    scored = models * (1 + len(settings.all_treatments))
    images = scored * sum(min(count, settings.images or count) for count in counts)
    runs = list(settings.runs(case.counts))
    trained = models * sum(run.recipe.epochs * sum(run.images) for run in runs)
    recipe = runs[-1].recipe if runs else None
    memory = case.holds(3, recipe=recipe, passed=experiment.eval_batch_size)
    return case.work(
        trained=trained, passed=images, loaded=images, moves=scored, moved=models, memory=memory
    )


def gradcam(case: Case) -> Work:
    """Pass the images to forget until some of each class are right, and read all models."""
    images, models = case.counts["forget"]["score"], len(case.experiment.methods)
    memory = case.holds(3, passed=case.experiment.eval_batch_size)
    return case.work(passed=images, loaded=images, moved=models, memory=memory)


given_original = given_retrain = original
prepare_questions = prepare


def step_of(rule: str) -> Step:
    """Return what the jobs of a rule do; a rule without a step only starts."""
    return globals().get(rule, small)


def look_ups(step: Step, case_of: Callable[[Any], Case]) -> dict[str, Callable]:
    """Return what a job asks for, by resource, as Snakemake calls it; more with each attempt."""
    works: dict[tuple, tuple[Case, Work]] = {}

    def of(wildcards: Any) -> tuple[Case, Work]:
        key = tuple(wildcards.items())
        if key not in works:
            case = case_of(wildcards)
            works[key] = case, step(case)
        return works[key]

    def seconds(wildcards: Any, threads: int) -> int:
        case, work = of(wildcards)
        return ceil(work.seconds(case.costs, case.device, case.precision, threads - 1))

    def minutes(wildcards: Any, threads: int, attempt: int) -> int:
        costs = of(wildcards)[0].costs
        return attempt * ceil(costs.minutes + costs.margin * seconds(wildcards, threads) / 60)

    def megabytes(wildcards: Any, threads: int, attempt: int) -> int:
        case, work = of(wildcards)
        machine = {"device": case.device, "loaders": threads - 1}
        return attempt * ceil(work.memory.of_machine(case.costs.memory, **machine) / 1e6)

    def written(wildcards: Any) -> int:
        return ceil(of(wildcards)[1].written / 1e6)

    asked = {"estimate_s": seconds, "runtime": minutes, "mem_mb": megabytes}
    return asked | {"disk_mb": written}
