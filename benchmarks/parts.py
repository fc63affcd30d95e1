"""Compare one job of `negmerge unlearn` with four parts of it, one of which is killed.

    python benchmarks/parts.py --folder FOLDER [--method ties] [--layers 1]

Writes random weights of 1.24 billion numbers in bfloat16 and a pool of three into FOLDER, in shards
(13 GB with the outputs), and prints seconds and peak memory beyond the page cache of each job, then
whether all bytes are the same. `--layers 1` tries it out.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file

from merge import run
from unlearn import CONFIG, numbers, shapes

PARTS, SHARD = 4, "50MB"
KILLED, AFTER = 3, 4.0  # part 3 is killed after so many seconds
PROGRAM = str(Path(sys.executable).parent / "negmerge")


def make(place: Path, number: int, layers: int) -> None:
    """Write the base, number 0, or a model of its pool, in shards."""
    state = {
        name: numbers(number, shape, order)
        for order, (name, shape) in enumerate(shapes(layers).items())
    }
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
    folder = options.folder
    places = [folder / name for name in ("base", "pool-1", "pool-2", "pool-3")]
    output = ["-o", str(folder / "parts")]
    for number, place in enumerate(places):
        if not place.exists():
            make(place, number, options.layers)
    for name in ("one", "parts", ".parts.parts"):
        shutil.rmtree(folder / name, ignore_errors=True)
    words = [PROGRAM, "unlearn", *map(str, places), "--coefficient", "0.5"]
    words += ["--method", options.method, "--max-shard-size", SHARD]

    def measure(what: str, *more: str) -> None:
        _, seconds, peak = run([*words, *more])
        print(f"{what:20} {seconds:6.1f} s {peak:6.0f} MB", flush=True)

    measure("one job", "-o", str(folder / "one"))
    if options.method in ("ties", "dare", "pcb", "random-mask"):
        output += ["--survey", str(folder / "survey.json")]
        measure("survey", *output, "--part", f"0/{PARTS}")
    job = subprocess.Popen([*words, *output, "--part", f"{KILLED}/{PARTS}"])
    time.sleep(AFTER)
    job.send_signal(signal.SIGKILL)
    print(f"part {KILLED} was {'killed' if job.wait() < 0 else 'faster than the signal'}")
    for number in range(1, PARTS + 1):
        measure(f"part {number} of {PARTS}", *output, "--part", f"{number}/{PARTS}")
    one, parts = ({p.name: p for p in (folder / name).iterdir()} for name in ("one", "parts"))
    same = one.keys() == parts.keys() and all(
        path.read_bytes().replace(b"/one", b"/parts") == parts[name].read_bytes()
        for name, path in one.items()
    )
    print("all bytes are the same" if same else "error: the bytes differ")
    sys.exit(not same)


if __name__ == "__main__":
    main()
