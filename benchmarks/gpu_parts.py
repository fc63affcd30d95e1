"""The parts of the page of check_gpu.py: each checks one thing, and says it in Markdown."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import loader
import tensor_crops
import torch
from marks import ROOT
from rates import Network, measure, networks_of
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from negmerge.evaluation.accuracy import predict
from negmerge.jobs.plan import make_plan
from negmerge.jobs.work import load_costs
from negmerge.merging import METHODS, merge_files
from negmerge.models.devices import deterministic, tuned
from negmerge.reporting import runtime
from negmerge.settings.compute import Compute
from negmerge.settings.study import load_study
from negmerge.training import fit

LOG = Path("results") / "check-gpu.log"
TESTS = [f"tests/{place}" for place in ("merging/test_merge_devices.py", "jobs/test_compute.py")]
WAYS = {
    "exact": Compute(),
    "fast": Compute(preset="fast"),
    "fast, compiled": Compute(preset="fast", compile=True),
}
# A pool of so many models, and the numbers of each.
POOL, NUMBERS = 4, 20_000_000
# Networks that train on the CPU and on the GPU, and how long.
TRAINED, STEPS, BATCH = ("mini-clip", "ResNet-18-w16"), 20, 32
# Networks of the paper that take a few steps twice. Attention in ViT-B/32 has 50 places, which its
# kernels take at once; in ViT-B/16 it has 197, which they take in parts and add up.
REPEATED = ("ViT-B-32", "ViT-B-16", "ResNet-18", "VGG-16-BN", "Swin-T")
PRECISIONS = ("fp32", "tf32", "bf16")
# The first step of AdamW takes hardly more than the signs of gradients.
FEW_STEPS = 3
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Part:
    """A part of the page.

    Attributes:
        title: its heading.
        lines: its text, in Markdown.
        passed: whether all is as it should be.
    """

    title: str
    lines: Sequence[str]
    passed: bool = True


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Write a table whose columns but the first hold numbers."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(map(str, cells))} |" for cells in (head, marks, *rows)]


def where(device: torch.device) -> Part:
    """Describe the machine."""
    lines = [f"{what}: {found}" for what, found in runtime.machine()]
    lines.append(f"torch {torch.__version__}, threads: {torch.get_num_threads()}")
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        lines.append(
            f"{found.name}, {found.total_memory / 2**30:.0f} GiB, compute capability "
            f"{found.major}.{found.minor}, CUDA {torch.version.cuda}"
        )
    return Part("Machine", [f"- {line}" for line in lines])


def tests(places: Sequence[str]) -> Part:
    """Run the tests that need a GPU; without one they are skipped, and others of the files run."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-rf", *places]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    *_, last = done.stdout.strip().splitlines() or [done.stderr.strip()[-200:]]
    failed = re.findall(r"^FAILED (\S+)", done.stdout, re.M)
    lines = [f"`{' '.join(places)}`: {last}", *(f"- failed: `{name}`" for name in failed)]
    return Part("Tests", lines, done.returncode == 0)


def merges(device: torch.device, numbers: int = NUMBERS) -> Part:
    """Merge the same files on the CPU and on the device, and compare the bytes."""
    rows, same = [], []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.safetensors" for number in range(POOL)]
        for number, path in enumerate(paths):
            torch.manual_seed(number)
            save_file({"weight": torch.randn(numbers // 1000, 1000) * 1e-3}, path)
        for method in METHODS:
            seconds, outputs = [], []
            for one in (CPU, device):
                output = Path(folder) / f"{len(outputs)}-{method}"
                start = time.perf_counter()
                merge_files(method, paths, output, device=one)
                seconds.append(f"{time.perf_counter() - start:.2f}")
                outputs.append(output.read_bytes())
                output.unlink()
            same.append(outputs[0] == outputs[1])
            rows.append([method, "yes" if same[-1] else "**no**", *seconds])
    head = ["method", "the CPU's bytes", "CPU, s", f"{device.type}, s"]
    title = f"Merges of {POOL} models of {numbers:,} numbers"
    return Part(title, table(head, rows), all(same))


def trained(network: Network, way: Compute, device: torch.device, steps: int) -> Tensor:
    """Train a network on noise from a fixed start; return its weights and those of the start."""
    deterministic(device)
    torch.manual_seed(0)
    built, head = network.build()
    start = torch.cat([one.flatten() for one in built.state_dict().values()]).double()
    size = network.row["size"]
    batches = [(torch.rand(BATCH, 3, size, size), torch.arange(BATCH)) for _ in range(steps)]
    built, head = tuned(built.to(device), way), head if head is None else head.to(device)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(predict(built, head, images), labels)

    recipe = network.recipe.model_copy(update={"warmup_steps": 0})
    fit(built, batches, steps, loss, recipe, device, lambda line: None, fused=way.fused)
    end = torch.cat([one.cpu().flatten() for one in built.state_dict().values()]).double()
    return torch.stack([end, start])


def training(device: torch.device, steps: int = STEPS) -> Part:
    """Train on the CPU and on the device, in each way, and compare the weights."""
    known = networks_of(load_study(ROOT / "config", "laptop")) | networks_of(
        load_study(ROOT / "config", "demo")
    )
    rows, repeats = [], []
    for name in TRAINED:
        expected, start = trained(known[name], Compute(), CPU, steps)
        for way in ("exact", "fast"):
            found, again = (trained(known[name], WAYS[way], device, steps)[0] for _ in range(2))
            share = (found - expected).norm() / (expected - start).norm()
            repeats.append(way == "fast" or torch.equal(found, again))
            rows.append(
                [f"{name}, {way}", f"{share:.1e}", "yes" if torch.equal(found, again) else "no"]
            )
    head = [f"{steps} steps", "difference to the CPU / change", "twice the same bytes"]
    return Part("Training", table(head, rows), all(repeats))


def repeats(device: torch.device, study: str = "paper", names: Sequence[str] = REPEATED) -> Part:
    """Take a few steps of training twice from the same state, and compare all bits."""
    known = networks_of(load_study(ROOT / "config", study, options=False))
    rows = [[name, *_repeats(known[name], device)] for name in names]
    head = [f"{FEW_STEPS} steps twice: the same bytes", *PRECISIONS]
    passed = all(cell == "yes" for row in rows for cell in row[1:])
    return Part("Repeats", table(head, rows), passed)


def _repeats(network: Network, device: torch.device) -> list[str]:
    cells = []
    for precision in PRECISIONS:
        way = Compute(precision=precision)
        try:
            one, other = (trained(network, way, device, FEW_STEPS)[0] for _ in range(2))
            cells.append("yes" if torch.equal(one, other) else "**no**")
        # An operation that cannot repeat is an error, which names it.
        except RuntimeError as error:
            cells.append(_failed(error))
    return cells


def rates(
    device: torch.device, seconds: float, study: str = "paper", ways: Sequence[str] = tuple(WAYS)
) -> Part:
    """Measure each network of a study in each way, against what plans assume."""
    known, costs = load_study(ROOT / "config", study, options=False), load_costs(ROOT / "config")
    flops, rows = costs.devices[device.type].flops, []
    for name, network in networks_of(known).items():
        cost = known.catalogue.models[name].cost
        for way in ways:
            print(f"measuring {name}, {way}, for about {seconds:g} s", file=sys.stderr)
            operations = cost.gflop * 1e9 / flops.get(WAYS[way].precision, flops["fp32"])
            assumed = [1 / (costs.training * operations), 1 / operations]
            rows.append(
                [f"{name}, {way}", *_measured(network, WAYS[way], device, seconds, assumed)]
            )
    head = ["network", "training", "assumed", "evaluation", "assumed", "peak MB"]
    return Part(
        "Images a second",
        [*table(head, rows), "", "What plans expect of a GPU's memory: `negmerge plan paper`."],
    )


def _measured(
    network: Network, way: Compute, device: torch.device, seconds: float, assumed: Sequence[float]
) -> list[str]:
    try:
        train, evaluate, megabytes = measure(network, way, device, seconds)
    # A compiler, too, may be missing or fail in its own ways.
    except Exception as error:
        return [_failed(error), _shown(assumed[0]), "", _shown(assumed[1]), ""]
    found = map(_shown, (train, assumed[0], evaluate, assumed[1]))
    return [*found, "NA" if megabytes is None else f"{megabytes:,.0f}"]


def _failed(error: Exception) -> str:
    return f"failed: {' '.join(str(error).split())[:80] or type(error).__name__}"


def _shown(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.2g}"


def loading(rounds: int = 3) -> Part:
    """Measure what one process loads."""
    width, height, count, batch = loader.PHOTOGRAPHS["500 x 375"]
    found = tensor_crops.loaded(loader.pictures(width, height, count, "JPEG"), batch, rounds)
    line = ", ".join(f"`{way}` {found[way]:,.0f}" for way in ("exact", "fast"))
    lines = [
        f"One process loads photographs of 500 x 375 for ViT-B/32, images a second: {line}. There",
        f"are {os.cpu_count()} cores. Four processes load for a GPU, or as many as `--set-threads`",
        "says.",
    ]
    return Part("Loading", lines)


def experiment(device: torch.device, study: str) -> Part:
    """Run a study's first table in the workflow's folder, and compare its time with the plan's."""
    name = next(iter(load_study("config", study, options=False).tables))
    target = f"results/{study}/tables/{name}.md"
    planned = make_plan(study, device.type)["rows"][name]
    jobs, hours = planned["jobs"], planned["gpu_hours"] + planned["cpu_hours"]
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--resources", "gpu=1"]
    command += ["--config", f"device={device.type}", "--", target]
    print(f"running the study {study}; {LOG} shows how far it is", file=sys.stderr)
    start = time.monotonic()
    with open(LOG, "w") as stream:
        done = subprocess.run(command, stdout=stream, stderr=stream)
    minutes = (time.monotonic() - start) / 60
    if done.returncode:
        return Part("Experiment", ["It failed:", "```", LOG.read_text()[-2000:], "```"], False)
    line = f"`{study}`: {jobs} jobs in {minutes:.1f} minutes; planned, one after the other, "
    return Part("Experiment", [f"{line}{60 * hours:.1f}.", "", Path(target).read_text()])
