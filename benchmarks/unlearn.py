"""Measure `negmerge unlearn` on a language model of 1.2 billion numbers and a pool of four.

    python benchmarks/unlearn.py --folder FOLDER [--clients ENVIRONMENT] [--mergekit ENVIRONMENT]

Writes made-up weights in bfloat16 in the layout of Llama 3.2 1B into FOLDER (15 GB), unlearns them
by several methods, each in a process of its own, and writes benchmarks/unlearn.json and, as
Markdown, what stands between the `unlearn` marks of docs/dev/measurements.md. ENVIRONMENT is a
folder with `bin/python` that has transformers, with which the result is loaded, or mergekit, which
merges the same folders; `make test-clients` makes both. `--layers 1` tries it out.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from marks import MEASUREMENTS, ROOT, machine, machine_of, write_between
from safetensors.torch import save_file

from merge import READ, run

RECORD = ROOT / "benchmarks" / "unlearn.json"
MEMBERS = 4
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "dtype": "bfloat16",
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}
# How long the change of fine-tuning is, as a part of the base's numbers, and which part of it two
# models share.
CHANGE, SHARED = 0.05, 0.5

LOAD = """
import sys, torch
from transformers import AutoModelForCausalLM
model, found = AutoModelForCausalLM.from_pretrained(sys.argv[1], output_loading_info=True)
assert not found["missing_keys"] and not found["unexpected_keys"] and model.dtype == torch.bfloat16
with torch.no_grad():
    assert model(torch.arange(8)[None]).logits.isfinite().all()
"""


def shapes(layers: int) -> dict[str, tuple[int, ...]]:
    """Return the tensors of the model."""
    wide, inner, words = (CONFIG[f"{key}_size"] for key in ("hidden", "intermediate", "vocab"))
    keys = CONFIG["num_key_value_heads"] * CONFIG["head_dim"]
    found = {"model.embed_tokens.weight": (words, wide), "model.norm.weight": (wide,)}
    for layer in range(layers):
        rows = {
            "self_attn.q_proj": (wide, wide),
            "self_attn.k_proj": (keys, wide),
            "self_attn.v_proj": (keys, wide),
            "self_attn.o_proj": (wide, wide),
            "mlp.gate_proj": (inner, wide),
            "mlp.up_proj": (inner, wide),
            "mlp.down_proj": (wide, inner),
            "input_layernorm": (wide,),
            "post_attention_layernorm": (wide,),
        }
        found |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in rows.items()}
    return found


def numbers(number: int, shape: tuple[int, ...], place: int) -> torch.Tensor:
    """Return one tensor of the base, number 0, or of a model of its pool."""

    def noise(seed: int) -> torch.Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(100 * place + seed))

    base = 0.02 * noise(0)
    if number:
        base += 0.02 * CHANGE * (SHARED * noise(1) + noise(1 + number))
    return base.bfloat16()


def make_models(folder: Path, layers: int) -> list[Path]:
    """Write the base and its pool, those that are not there yet."""
    config = CONFIG | {"num_hidden_layers": layers}
    places = [folder / ("base" if not number else f"pool-{number}") for number in range(5)]
    for number, place in enumerate(places):
        if not (place / "config.json").exists():
            place.mkdir(parents=True, exist_ok=True)
            state = {
                name: numbers(number, shape, order)
                for order, (name, shape) in enumerate(shapes(layers).items())
            }
            save_file(state, place / "model.safetensors", metadata={"format": "pt"})
            (place / "config.json").write_text(json.dumps(config, indent=2))
    return places


def measure(command: list[str], output: Path) -> dict:
    """Run a command that writes a folder, as a whole process."""
    shutil.rmtree(output, ignore_errors=True)
    _, seconds, peak = run(command)
    return {"seconds": round(seconds, 1), "peak_mb": round(peak)}


def ours(places: list[Path], output: Path, method: str, threads: int) -> dict:
    """Measure `negmerge unlearn`."""
    program = str(Path(sys.executable).parent / "negmerge")
    words = ["--coefficient", "0.5", "--method", method, "--threads", str(threads)]
    return measure([program, "unlearn", *map(str, places), "-o", str(output), *words], output)


def theirs(environment: Path, places: list[Path], output: Path, method: str) -> dict:
    """Measure mergekit, which adds what the method makes of the pool to the base."""
    config = {
        "merge_method": method,
        "models": [
            {"model": str(place), "parameters": {"weight": 1.0, "density": 0.2}}
            for place in places[1:]
        ],
        "base_model": str(places[0]),
        "dtype": "float32",
        "out_dtype": "bfloat16",
    }
    if method == "linear":
        del config["base_model"]
        for model in config["models"]:
            del model["parameters"]["density"]
    file = output.parent / "mergekit.json"
    file.write_text(json.dumps(config))
    return measure([str(environment / "bin" / "mergekit-yaml"), str(file), str(output)], output)


def markdown(record: dict) -> str:
    """Describe the record."""
    lines = [
        f"A model of {record['numbers']:,} numbers in bfloat16 with made-up weights, and a",
        f"pool of {MEMBERS}: {record['gigabytes']} GB in {MEMBERS + 1} folders, by "
        "`benchmarks/unlearn.py`. Seconds of whole",
        "processes, files in the page cache as far as it holds them; memory beyond the page cache.",
        f"One run of each. {machine_of(record)}",
        "",
        "| what | seconds | peak, MB |",
        "| --- | ---: | ---: |",
        f"| one read of the bytes | {record['read_s']} | |",
    ]
    for name, found in record["runs"].items():
        lines.append(f"| {name} | {found['seconds']} | {found['peak_mb']:,} |")
    if "transformers" in record:
        lines += ["", f"transformers {record['transformers']} loads what `negmerge unlearn` wrote."]
    return "\n".join(lines)


def version(environment: Path, package: str) -> str:
    """Return the version of a package in another environment."""
    code = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return run([str(environment / "bin" / "python"), "-c", code])[0].strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--clients", type=Path, metavar="ENVIRONMENT")
    parser.add_argument("--mergekit", type=Path, metavar="ENVIRONMENT")
    parser.add_argument("--layers", type=int, default=CONFIG["num_hidden_layers"])
    options = parser.parse_args()

    places, output = make_models(options.folder, options.layers), options.folder / "out"
    files = [place / "model.safetensors" for place in places]
    count = sum(torch.Size(shape).numel() for shape in shapes(options.layers).values())
    size = round(sum(file.stat().st_size for file in files) / 1e9, 1)
    record = {"machine": machine(), "numbers": count, "gigabytes": size}
    run([sys.executable, "-c", READ, *files])
    record["read_s"] = round(json.loads(run([sys.executable, "-c", READ, *files])[0]), 1)
    record["runs"] = found = {}
    for method in ("negmerge", "ties"):
        for threads in (1, 2):
            label = f"`negmerge unlearn --method {method} --threads {threads}`"
            found[label] = ours(places, output, method, threads)
            print(label, found[label])
    if options.clients:
        run([str(options.clients / "bin" / "python"), "-c", LOAD, str(output)])
        record["transformers"] = version(options.clients, "transformers")
    if options.mergekit:
        release = version(options.mergekit, "mergekit")
        for method in ("linear", "ties"):
            label = f"mergekit {release}, {method}"
            found[label] = theirs(options.mergekit, places, output, method)
            print(label, found[label])
    if options.layers == CONFIG["num_hidden_layers"]:
        RECORD.write_text(json.dumps(record, indent=2) + "\n")
        write_between(MEASUREMENTS, "unlearn", markdown(record))
    else:
        print(markdown(record))


if __name__ == "__main__":
    main()
