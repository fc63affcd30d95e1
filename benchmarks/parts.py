"""Compare one job of `negmerge unlearn` with four parts of it, one of which is killed.

    python benchmarks/parts.py --folder FOLDER [--method ties] [--layers 1]

Writes random weights of 1.24 billion numbers in bfloat16 and a pool of three into FOLDER (15 GB
with the outputs), and prints seconds and peak memory beyond the page cache.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from filecmp import cmpfiles
from pathlib import Path

from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file

from merge import run
from unlearn import CONFIG, numbers, shapes

PARTS, SHARD = 4, "50MB"


def make(place: Path, number: int, layers: int) -> None:
    """Write the base, number 0, or a model of its pool, in shards."""
    tensors = enumerate(shapes(layers).items())
    state = {name: numbers(number, shape, order) for order, (name, shape) in tensors}
    split = split_torch_state_dict_into_shards(state, max_shard_size=SHARD)
    place.mkdir(parents=True)
    for file, names in split.filename_to_tensors.items():
        save_file({name: state[name] for name in names}, place / file, metadata={"format": "pt"})
    index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))
    (place / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": layers}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--method", default="negmerge")
    parser.add_argument("--layers", type=int, default=CONFIG["num_hidden_layers"])
    options = parser.parse_args()
    names = ("base", "pool-1", "pool-2", "pool-3", "one", "out", ".out.parts", "survey.json")
    *places, one, out, parts, file = (options.folder / name for name in names)
    for number, place in enumerate(places):
        if not place.exists():
            make(place, number, options.layers)
    for path in (one, out, parts):
        shutil.rmtree(path, ignore_errors=True)
    program = Path(sys.executable).parent / "negmerge"
    words = [*map(str, [program, "unlearn", *places, "-o", out]), "--method", options.method]
    words += ["--coefficient", "0.5", "--max-shard-size", SHARD]

    def measure(what: str, *more: str) -> None:
        _, seconds, peak = run([*words, *more])
        print(f"{what:20} {seconds:6.1f} s {peak:6.0f} MB", flush=True)

    measure("one job")
    out.rename(one)
    survey: list[str] = []
    if options.method != "negmerge":
        survey = ["--survey", str(file)]
        measure("survey", *survey, "--part", f"0/{PARTS}")
    job = subprocess.Popen([*words, *survey, "--part", f"3/{PARTS}"])
    time.sleep(4)
    job.kill()
    print("part 3 was", "killed" if job.wait() < 0 else "faster than the signal")
    for number in range(1, PARTS + 1):
        measure(f"part {number} of {PARTS}", *survey, "--part", f"{number}/{PARTS}")
    names = {path.name for path in (*one.iterdir(), *out.iterdir())}
    same, *others = cmpfiles(one, out, names, shallow=False)
    print(f"{len(same)} files are the same, others: {others}")
    sys.exit(any(others))


if __name__ == "__main__":
    main()
