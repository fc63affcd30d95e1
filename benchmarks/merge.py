"""Measure merges of large pools: time against one read of the same bytes, and memory.

    python benchmarks/merge.py [--models 4 8 16 30] [--folder FOLDER] [--mergekit PROGRAM]

Makes vectors of the size of CLIP ViT-B/32's state (113,448,705 numbers, as the authors store it),
merges them by every method in a process of its own and writes benchmarks/merge.json and, as
Markdown, what stands between the `merge` marks of docs/measurements.md. PROGRAM is
`mergekit-pytorch` from an environment of its own.
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
# What two models of a pool share, so that signs agree more often than by chance.
SHARED = 0.5

MERGE = """
import json, sys, time
import torch
torch.set_num_threads(1)
from negmerge.merging import merge_files
method, threads, output, *paths = sys.argv[1:]
merge_files("uniform", paths[:1], output + ".first", threads=int(threads))
start = time.perf_counter()
merge_files(method, paths, output, threads=int(threads))
print(json.dumps(time.perf_counter() - start))
"""

# The released algorithm in its plain form: whole states in memory, one after the other.
PLAIN = """
import json, sys, time
import torch
from safetensors.torch import load_file, save_file
torch.set_num_threads(1)
method, threads, output, *paths = sys.argv[1:]
start = time.perf_counter()
total = signs = None
for path in paths:
    state = load_file(path)
    if total is None:
        total = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
        signs = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    total = {name: total[name] + state[name] for name in total}
    signs = {name: signs[name] + torch.sign(state[name]) for name in signs}
merged = {}
for name in total:
    agree = signs[name].abs() == len(paths)
    merged[name] = torch.where(agree, total[name] / len(paths), torch.zeros_like(total[name]))
save_file(merged, output)
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


def make_vectors(folder: Path, count: int) -> list[Path]:
    """Write vectors that are not there yet."""
    paths = [folder / f"vector-{number:02}.safetensors" for number in range(count)]
    common = torch.Generator().manual_seed(0)
    shared = {name: torch.randn(shape, generator=common) for name, shape in shapes().items()}
    for number, path in enumerate(paths):
        if not path.exists():
            own = torch.Generator().manual_seed(number + 1)
            noise = {name: torch.randn(t.shape, generator=own) for name, t in shared.items()}
            save_file({n: SHARED * shared[n] + noise[n] for n in shared}, path)
    return paths


def read(paths: list[Path]) -> float:
    """Read all bytes once and give the seconds."""
    buffer = bytearray(2**24)
    start = time.perf_counter()
    for path in paths:
        with open(path, "rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass
    return time.perf_counter() - start


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
    """Run a command; give its output, seconds and peak memory beyond the page cache in MB."""
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    while process.poll() is None:
        peak = max(peak, anonymous_mb(process.pid))
        time.sleep(0.02)
    output, seconds = process.stdout.read(), time.perf_counter() - start
    if process.returncode:
        sys.exit(f"error: {' '.join(command[:4])} ... failed")
    return output, seconds, peak


def measure(code: str, method: str, threads: int, paths: list[Path], output: Path) -> dict:
    """Run one merge in a process of its own."""
    words = [sys.executable, "-c", code, method, str(threads), str(output), *map(str, paths)]
    text, _, peak = run(words)
    return {"seconds": round(json.loads(text), 2), "peak_mb": round(peak)}


def measure_mergekit(program: str, method: str, paths: list[Path], folder: Path) -> dict:
    """Run mergekit's entry for plain files; whole process, imports included."""
    settings = {"linear": {"weight": 1.0}, "ties": {"weight": 1.0, "density": 0.2}}[method]
    models = [{"model": str(path), "parameters": settings} for path in paths]
    config = {"merge_method": method, "models": models, "dtype": "float32"}
    if method == "ties":
        base = folder / "zero.safetensors"
        save_file({name: torch.zeros(shape) for name, shape in shapes().items()}, base)
        config["base_model"] = str(base)
    file = folder / f"{method}.yaml"
    file.write_text(yaml.safe_dump(config))
    _, seconds, peak = run([program, str(file), str(folder / "mergekit")])
    return {"seconds": round(seconds, 2), "peak_mb": round(peak)}


def measure_pool(paths: list[Path], methods: list[str], output: Path) -> dict:
    """Measure all methods, with the files in the page cache."""
    read(paths)
    found = {"models": len(paths), "read_s": round(min(read(paths) for _ in range(3)), 2)}
    for threads in (1, 2):
        found[f"threads_{threads}"] = {
            method: measure(MERGE, method, threads, paths, output) for method in methods
        }
        print(json.dumps({"models": len(paths), f"threads_{threads}": found[f"threads_{threads}"]}))
    return found


def markdown(record: dict) -> str:
    """Describe the record."""
    pools = record["pools"]
    counts = " | ".join(f"{pool['models']} models" for pool in pools)
    lines = [
        f"Merges of vectors of {NUMBERS:,} numbers, files in the page cache, by",
        "`benchmarks/merge.py`: seconds with one thread / with two, hashing the inputs included;",
        "peak memory beyond the page cache with two threads, at the largest pool. One run of each.",
        machine_of(record),
        "",
        f"| method | {counts} | peak, MB |",
        f"| --- |{' ---: |' * (len(pools) + 1)}",
        f"| one read of the bytes | {' | '.join(str(pool['read_s']) for pool in pools)} | |",
    ]
    for method in pools[0]["threads_1"]:
        cells = " | ".join(
            f"{pool['threads_1'][method]['seconds']} / {pool['threads_2'][method]['seconds']}"
            for pool in pools
        )
        lines.append(f"| {method} | {cells} | {pools[-1]['threads_2'][method]['peak_mb']} |")
    plain = record["plain"]
    lines += [
        "",
        "NegMerge in the released code's plain form (whole states in memory, written anew for this "
        f"comparison) took {plain['seconds']} s and {plain['peak_mb']} MB for 8 models.",
    ]
    for method, found in record.get("mergekit", {}).items():
        lines.append(
            f"mergekit {record['mergekit_version']} took {found['seconds']} s and "
            f"{found['peak_mb']} MB for `{method}`, its start included."
        )
    cold = record["cold"]
    lines.append(
        f"From a cold disk, 8 models: one read {cold['read_s']} s, NegMerge "
        f"{cold['negmerge']['seconds']} s."
    )
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the record and the page."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--models", type=int, nargs="+", default=[4, 8, 16, 30])
    words.add_argument("--folder", type=Path)
    words.add_argument("--mergekit")
    options = words.parse_args()
    from negmerge.merging import METHODS

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        output = folder / "merged.safetensors"
        paths = make_vectors(folder, max(options.models))
        pools = [measure_pool(paths[:n], list(METHODS), output) for n in options.models]
        record = {"machine": machine(), "pools": pools}
        eight = paths[:8]
        read(eight)
        record["plain"] = measure(PLAIN, "negmerge", 1, eight, output)
        if options.mergekit:
            python = Path(options.mergekit).with_name("python")
            version = "import importlib.metadata as m; print(m.version('mergekit'))"
            record["mergekit_version"] = run([str(python), "-c", version])[0].strip()
            record["mergekit"] = {
                method: measure_mergekit(options.mergekit, method, eight, folder)
                for method in ("linear", "ties")
            }
        forget_pages(eight)
        record["cold"] = {"read_s": round(read(eight), 2)}
        forget_pages(eight)
        record["cold"]["negmerge"] = measure(MERGE, "negmerge", 2, eight, output)
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    write_between(MEASUREMENTS, "merge", markdown(record))


if __name__ == "__main__":
    main()
