"""What the job of each rule does: images through a network, bytes read, fetched and written.

All numbers follow from a study's settings and the rows of data sets and models; `estimates` makes
minutes and megabytes of them. Where a job may need fewer, it is the most that it can need.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from negmerge.selection.refinement import is_scale
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue, Cost
from negmerge.settings.costs import Costs
from negmerge.settings.counts import part_sizes
from negmerge.settings.experiment import Experiment
from negmerge.settings.options import checked


@dataclass(frozen=True)
class Work:
    """What one job does.

    Attributes:
        flops: floating point operations of networks.
        computing: seconds that they take, where the networks were measured; None: by `flops`.
        loading: seconds in which one process reads, decodes and transforms the images.
        moved: bytes of weights read and written.
        unpacked: bytes of archives read.
        fetched: bytes from the internet.
        written: bytes of the outputs; small files do not count.
    """

    flops: float = 0
    computing: float | None = None
    loading: float = 0
    moved: float = 0
    unpacked: float = 0
    fetched: float = 0
    written: float = 0


@dataclass(frozen=True)
class Case:
    """A job: its wildcards, and all that its work follows from.

    Attributes:
        experiment: that the wildcards name; None for data sets and weights, which have none.
    """

    wildcards: Mapping[str, str]
    known: Catalogue
    costs: Costs
    experiment: Experiment | None = None

    @cached_property
    def cost(self) -> Cost:
        """The cost of the experiment's model, or that of a large one where it is not known."""
        large = self.costs.unknown.gflop.value, self.costs.unknown.megabytes.value
        unknown = Cost.model_construct(
            gflop=large[0], megabytes=large[1], text_gflop=large[0], text_megabytes=large[1]
        )
        return self.known.models[self.experiment.model].cost or unknown

    @property
    def state(self) -> float:
        """The bytes of a state that is fine-tuned: an image encoder, or a classifier."""
        return self.cost.megabytes * 1e6

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """The images of the task by role and purpose."""
        return self.experiment.image_counts(self.wildcards["task"], self.known)

    def validation(self, *roles: str) -> int:
        """Count the images that choose a coefficient."""
        return sum(self.counts[role]["select"] for role in roles)

    def work(self, *, trained: float = 0, passed: float = 0, loaded: float = 0, **bytes_) -> Work:
        """Return the work of images: those of training steps, of passes, and read beforehand."""
        loading, pixels = self.costs.loading, self.known.models[self.experiment.model].size ** 2
        each = loading.per_image.value + pixels * loading.per_pixel.value
        linear = getattr(self.experiment, "mode", "standard") == "linear"
        passes = (passed + trained * self.costs.training.value) * (
            self.costs.linear.value if linear else 1
        )
        flops = passes * self.cost.gflop * 1e9
        rates, computing = self.costs.rates.get(self.wildcards.get("experiment")), None
        if rates is not None:
            computing = trained / rates.training + passed / rates.evaluation
        return Work(flops, computing, loading=(trained + loaded) * each, **bytes_)


def small(case: Case) -> Work:
    """Nothing beside the start of a job."""
    return Work()


def download(case: Case) -> Work:
    """Fetch a file; one that a person has put there is only read."""
    file = case.known.datasets[case.wildcards["dataset"]].downloads[case.wildcards["file"]]
    size = file.bytes or case.costs.unknown.file_bytes.value
    return Work(unpacked=size, written=size) if file.manual else Work(fetched=size, written=size)


def weights(case: Case) -> Work:
    """Fetch trained weights, into the cache of the user."""
    hub = case.known.models[case.wildcards["model"]].hub
    size = (hub and hub.bytes) or case.costs.unknown.file_bytes.value
    return Work(fetched=size, written=size)


def prepare(case: Case) -> Work:
    """Read archives and write their images, for a while twice."""
    name = case.wildcards["dataset"]
    row, unknown = case.known.datasets[name], case.costs.unknown
    read = sum(file.bytes or unknown.file_bytes.value for file in row.downloads.values())
    image = case.costs.image_bytes.get(name, unknown.image_bytes).value
    return Work(unpacked=read, written=2 * image * sum(row.splits.values()))


def base(case: Case) -> Work:
    """Pre-train, or read and write weights of others; as an image and a text part."""
    size = case.state + case.cost.text_megabytes * 1e6
    settings = case.experiment.pretrain
    if settings is None:
        return Work(moved=2 * size, written=size)
    shown = sum(
        part_sizes(case.known, name)[source.part] * source.repeat
        for name, source in settings.sources.items()
    )
    return case.work(trained=settings.recipe.epochs * shown, written=size)


def head(case: Case) -> Work:
    """Encode a prompt for each template and class."""
    row = case.known.prompts[case.wildcards["dataset"]]
    return Work(flops=len(row.templates) * len(row.classes) * case.cost.text_gflop * 1e9)


def train(case: Case) -> Work:
    """Train a classifier on all images, or on those to retain."""
    role = "original" if case.wildcards["trained"] == "original" else "retain"
    images = case.experiment.train.epochs * case.counts[role]["train"]
    return case.work(trained=images, written=case.state)


def finetune(case: Case) -> Work:
    """Train the base on what it should forget; write the model and its task vector."""
    recipe = case.experiment.recipe(case.wildcards["task"], case.wildcards["point"])
    images = recipe.epochs * case.counts["forget"]["train"]
    return case.work(trained=images, moved=3 * case.state, written=2 * case.state)


def vector(case: Case) -> Work:
    """Read the base and a given model; write its task vector."""
    return Work(moved=3 * case.state, written=case.state)


def original(case: Case) -> Work:
    """Read a given classifier and write it."""
    return Work(moved=2 * case.state, written=case.state)


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
    return _searched(case, models * coefficients + trials, 2 * models + 1, written=case.state)


def search(case: Case) -> Work:
    """Search a coefficient among those of all candidates."""
    candidates = len(case.experiment.candidates(case.wildcards["method"]))
    return _searched(case, candidates * _coefficients(case), candidates + 1)


def sweep(case: Case) -> Work:
    """Measure the base, and a vector at each coefficient, or Retrain once."""
    rules = len(case.experiment.selection.rules)
    images = case.validation(*case.experiment.selection_roles)
    coefficients = 1 if case.wildcards["vector"] == methods.RETRAIN else _coefficients(case, rules)
    return case.work(passed=(1 + coefficients) * images, loaded=images, moved=2 * case.state)


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
    used = tried[0].data_used
    images = sum(case.counts[r]["train"] for r in ("forget", "retain") if used in (r, "all"))
    measured = case.validation(*experiment.selection_roles)
    return case.work(
        trained=images * (sum(epochs) + beside * max(epochs)),
        passed=(len(tried) + beside + 1) * measured,
        loaded=measured,
        written=rules * case.state,
    )


def evaluate(case: Case) -> Work:
    """Score the choice of each rule, and teach it again what it forgot, where that is measured."""
    experiment, settings = case.experiment, case.experiment.relearning
    searched = experiment.is_searched(case.wildcards["method"])
    models = len(experiment.selection.rules) if searched else 1
    images = sum(case.counts[role]["score"] for role in experiment.ROLES)
    passed = models * images
    trained = 0
    if settings is not None:
        # A model that knows the images again stops earlier. They are scored as the original has
        # them, then before the first epoch and after each.
        again, epochs = case.counts["forget"]["train"], settings["epochs"]
        passed += again + models * settings["seeds"] * (epochs + 1) * again
        trained = models * settings["seeds"] * epochs * again
    return case.work(passed=passed, loaded=passed, trained=trained)


def export(case: Case) -> Work:
    """Read two states and write one."""
    return Work(moved=3 * case.state, written=case.state)


def gradcam(case: Case) -> Work:
    """Pass the images to forget until some of each class are right, and read all models."""
    images, models = case.counts["forget"]["score"], 1 + len(case.experiment.methods)
    return case.work(passed=images, loaded=images, moved=models * case.state)


def compare(case: Case) -> Work:
    """Read the pool, what methods make of it, and the base."""
    vectors = len(case.experiment.pool.changes) + len(case.experiment.methods)
    return Work(moved=(vectors + 1) * case.state)


def _coefficients(case: Case, rules: int = 1) -> int:
    """Count the coefficients on the grid and those beside the choice of each rule."""
    grid = len(case.experiment.coefficients.values)
    return grid + 2 * case.experiment.selection.halvings * rules


def _searched(case: Case, sweeps: int, states: int, written: float = 0) -> Work:
    """Return the work of a pruned search; `sweeps` counts vectors x coefficients."""
    images = case.validation("forget", case.experiment.ROLES[1])
    passed = images * (1 + case.costs.pruned.value * sweeps)
    return case.work(passed=passed, loaded=images, moved=states * case.state, written=written)
