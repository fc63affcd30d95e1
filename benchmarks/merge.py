"""Measure merges of checkpoints: against the plain form, one read of the bytes, and a cold disk.

    python benchmarks/merge.py [--folder FOLDER] [--rounds N] [--all] [--mergekit PROGRAM]

Makes a base and fine-tuned checkpoints of the size of CLIP ViT-B/32's state (113,448,705 numbers,
as the authors store it), float32, 30 of them, of which most merges take 8. Each merge runs in a
process of its own; what is compared runs in turns, and of each the fastest round counts. With
`--all`, every method is measured. Writes benchmarks/merge.json and, as Markdown, what stands
between the `merge` marks of docs/dev/measurements.md. It needs 15 GB on the disk, and as much
memory for the page cache. PROGRAM is `mergekit-pytorch` from an environment of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import yaml
from marks import MEASUREMENTS, ROOT, machine, machine_of, write_between
from safetensors.torch import save_file

RECORD = ROOT / "benchmarks" / "merge.json"
NUMBERS = 113_448_705
POOL, LARGE = 8, 30
# What fine-tuning changes, and how much of it two models of a pool share, so that signs agree more
# often than by chance.
CHANGE, SHARED = 1e-3, 0.5

MERGE = """
import json, sys, time
from negmerge.merging import merge_files
method, threads, checksums, output, base, *paths = sys.argv[1:]
start = time.perf_counter()
merge_files(method, paths, output, base=base, threads=int(threads), checksums=checksums == "yes")
print(json.dumps(time.perf_counter() - start))
"""

# The released algorithm in its plain form: whole states in memory, one after the other.
PLAIN = """
import json, sys, time
import torch
from safetensors.torch import load_file, save_file
output, base, *paths = sys.argv[1:]
start = time.perf_counter()
origin = load_file(base)
total = signs = None
for path in paths:
    state = load_file(path)
    vector = {name: state[name] - origin[name] for name in origin}
    if total is None:
        total = {name: torch.zeros_like(tensor) for name, tensor in vector.items()}
        signs = {name: torch.zeros_like(tensor) for name, tensor in vector.items()}
    total = {name: total[name] + vector[name] for name in total}
    signs = {name: signs[name] + torch.sign(vector[name]) for name in signs}
merged = {}
for name in total:
    agree = signs[name].abs() == len(paths)
    merged[name] = torch.where(agree, total[name] / len(paths), torch.zeros_like(total[name]))
save_file(merged, output)
print(json.dumps(time.perf_counter() - start))
"""

READ = """
import json, sys, time
buffer = bytearray(2**24)
start = time.perf_counter()
for path in sys.argv[1:]:
    with open(path, "rb", buffering=0) as stream:
        while stream.readinto(buffer):
            pass
print(json.dumps(time.perf_counter() - start))
"""


def shapes() -> dict[str, tuple[int, ...]]:
    """Return the layout of the state: twelve layers, embeddings, and a rest to the exact number."""
    found: dict[str, tuple[int, ...]] = {"token_embedding.weight": (49408, 512)}
    for layer in range(12):
        place = f"visual.transformer.resblocks.{layer}"
        found |= {
            f"{place}.attn.in_proj_weight": (2304, 768),
            f"{place}.attn.out_proj.weight": (768, 768),
            f"{place}.mlp.c_fc.weight": (3072, 768),
            f"{place}.mlp.c_proj.weight": (768, 3072),
        }
    rest = NUMBERS - sum(torch.Size(shape).numel() for shape in found.values())
    return found | {"rest": (rest,)}


def make_checkpoints(folder: Path, count: int) -> list[Path]:
    """Write a base and fine-tuned checkpoints that are not there yet; return them in this order."""
    paths = [folder / name for name in ("base", *(f"model-{n:02}" for n in range(count)))]
    paths = [path.with_suffix(".safetensors") for path in paths]
    common = torch.Generator().manual_seed(0)
    base = {name: torch.randn(shape, generator=common) * 0.02 for name, shape in shapes().items()}
    shared = {name: torch.randn(shape, generator=common) for name, shape in shapes().items()}
    for number, path in enumerate(paths):
        if path.exists():
            continue
        own = torch.Generator().manual_seed(number)
        state = base
        if number:
            state = {
                name: before
                + CHANGE * (SHARED * shared[name] + torch.randn(before.shape, generator=own))
                for name, before in base.items()
            }
        partial = path.with_suffix(".partial")
        save_file(state, partial)
        partial.rename(path)
    return paths


def forget_pages(paths: list[Path]) -> None:
    """Drop files from the page cache, so that the next read comes from the disk."""
    os.sync()
    for path in paths:
        with open(path, "rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def anonymous_mb(process: int) -> float:
    """Return a process's memory beyond the page cache, in MB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def run(command: list[str]) -> tuple[str, float, float]:
    """Run a command; return its output, seconds and peak memory beyond the page cache in MB."""
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    while process.poll() is None:
        peak = max(peak, anonymous_mb(process.pid))
        time.sleep(0.02)
    output, seconds = process.stdout.read(), time.perf_counter() - start
    if process.returncode:
        sys.exit(f"error: {' '.join(command[:3])[:200]} ... failed")
    return output, seconds, peak


def measure(code: str, *words: object) -> dict[str, float]:
    """Run code that prints its seconds, in a process of its own."""
    text, _, peak = run([sys.executable, "-c", code, *map(str, words)])
    return {"seconds": round(json.loads(text), 3), "peak_mb": round(peak)}


def merging(
    paths: list[Path], method: str = "negmerge", threads: int = 2, checksums: bool = True
) -> dict[str, float]:
    """Measure a merge into a new file."""
    output = paths[0].with_name("merged.safetensors")
    output.unlink(missing_ok=True)
    return measure(MERGE, method, threads, "yes" if checksums else "no", output, *paths)


def plain(paths: list[Path]) -> dict[str, float]:
    """Measure the plain form."""
    output = paths[0].with_name("plain.safetensors")
    output.unlink(missing_ok=True)
    return measure(PLAIN, output, *paths)


def mergekit(program: str, method: str, paths: list[Path]) -> dict[str, float]:
    """Measure mergekit's entry for plain files; whole process, imports included."""
    base, *pool = paths
    settings = {"linear": {"weight": 1.0}, "ties": {"weight": 1.0, "density": 0.2}}[method]
    models = [{"model": str(path), "parameters": settings} for path in pool]
    config = {"merge_method": method, "models": models, "dtype": "float32"}
    if method == "ties":
        config["base_model"] = str(base)
    file = base.with_name(f"{method}.yaml")
    file.write_text(yaml.safe_dump(config))
    _, seconds, peak = run([program, str(file), str(base.with_name("mergekit"))])
    return {"seconds": round(seconds, 2), "peak_mb": round(peak)}


def in_turns(rounds: int, works: dict) -> dict[str, dict[str, float]]:
    """Measure works one after the other, some rounds; return the fastest round of each."""
    found: dict[str, list] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(work())
            print(name, found[name][-1], flush=True)
    return {name: min(all_, key=lambda one: one["seconds"]) for name, all_ in found.items()}


def record_of(paths: list[Path], options: argparse.Namespace) -> dict:
    """Measure all."""
    few, rounds = paths[: POOL + 1], options.rounds
    measure(READ, *few)
    warm = {
        "read": lambda: measure(READ, *few),
        "plain": lambda: plain(few),
        "negmerge, 1 thread": lambda: merging(few, threads=1),
        "negmerge, 2 threads": lambda: merging(few),
        "negmerge, 4 threads": lambda: merging(few, threads=4),
        "negmerge, 1 thread, no checksums": lambda: merging(few, threads=1, checksums=False),
        "negmerge, 2 threads, no checksums": lambda: merging(few, checksums=False),
        "ties, 2 threads": lambda: merging(few, "ties"),
    }
    record = {"machine": machine(), "rounds": rounds, "warm": in_turns(rounds, warm)}
    if options.all:
        from negmerge.merging import METHODS

        record["methods"] = in_turns(1, {m: lambda m=m: merging(few, m) for m in METHODS})
    if options.mergekit:
        python = Path(options.mergekit).with_name("python")
        version = "import importlib.metadata as m; print(m.version('mergekit'))"
        record["mergekit_version"] = run([str(python), "-c", version])[0].strip()
        record["mergekit"] = {m: mergekit(options.mergekit, m, few) for m in ("linear", "ties")}

    def cold(work):
        forget_pages(few)
        return work()

    works = {"read": lambda: measure(READ, *few), "negmerge": lambda: merging(few)}
    record["cold"] = in_turns(rounds, {n: lambda w=w: cold(w) for n, w in works.items()})
    measure(READ, *paths)
    works = {"read": lambda: measure(READ, *paths), "negmerge": lambda: merging(paths)}
    record["large"] = in_turns(1, works)
    return record


def markdown(record: dict) -> str:
    """Describe the record."""
    warm, cold, large = record["warm"], record["cold"], record["large"]
    read, negmerge = warm["read"]["seconds"], warm["negmerge, 2 threads"]["seconds"]
    lines = [
        f"Merges of {POOL} checkpoints of {NUMBERS:,} float32 numbers and their base, files in the",
        "page cache, by `benchmarks/merge.py`: the fastest of "
        f"{record['rounds']} rounds in turns, each in a process of its",
        "own; the peak is memory beyond the page cache. The plain form is the released code's",
        "algorithm on whole states in memory, written anew for this comparison.",
        machine_of(record),
        "",
        "| what | s | x one read | plain form / it | peak, MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, found in warm.items():
        ratios = found["seconds"] / read, warm["plain"]["seconds"] / found["seconds"]
        cells = [f"{found['seconds']:.2f}", *(f"{ratio:.1f}" for ratio in ratios)]
        label = "one read of the bytes" if name == "read" else name
        lines.append(f"| {label} | {' | '.join(cells)} | {found['peak_mb']} |")
    ties = warm["ties, 2 threads"]["seconds"] / negmerge
    slower = cold["negmerge"]["seconds"] / cold["read"]["seconds"]
    lines += [
        "",
        f"TIES-Merging takes {ties:.1f} times as long as NegMerge. From a cold disk one read takes "
        f"{cold['read']['seconds']} s,",
        f"and NegMerge with checksums {cold['negmerge']['seconds']} s, {slower:.2f} times as long.",
        f"With {LARGE} checkpoints one read takes {large['read']['seconds']} s, and NegMerge "
        f"{large['negmerge']['seconds']} s and {large['negmerge']['peak_mb']} MB.",
    ]
    for method, found in record.get("mergekit", {}).items():
        lines.append(
            f"mergekit {record['mergekit_version']} takes {found['seconds']} s and "
            f"{found['peak_mb']} MB for `{method}`, its start included."
        )
    if "methods" in record:
        lines += ["", "Every method with 2 threads and checksums, one run of each:", ""]
        lines += ["| method | s | peak, MB |", "| --- | ---: | ---: |"]
        for name, found in record["methods"].items():
            lines.append(f"| {name} | {found['seconds']:.2f} | {found['peak_mb']} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the record and the page."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--folder", type=Path, help="where the checkpoints are, or will be")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--all", action="store_true", help="measure every method")
    words.add_argument("--mergekit")
    options = words.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        record = record_of(make_checkpoints(folder, LARGE), options)
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    write_between(MEASUREMENTS, "merge", markdown(record))


if __name__ == "__main__":
    main()
