"""The wheel in an environment that holds nothing but what it requires."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from negmerge import apply, merge, task_vector

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv-clients" / "alone" / "bin"
SCRIPTS = ROOT / "workflow" / "scripts"


def run(program, *words, folder=ROOT):
    """Run a program of the environment; nothing of the repository is on its path."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(BIN / program), *map(str, words)]
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True)


def test_the_environment_has_nothing_for_studies():
    listed = json.loads(run("python", "-m", "pip", "list", "--format", "json").stdout)
    names = {package["name"].lower() for package in listed}
    assert {"negmerge", "torch", "safetensors", "numpy", "pydantic", "tqdm", "blake3"} <= names
    assert not names & {"pandas", "pillow", "open_clip_torch", "timm", "snakemake", "transformers"}
    done = run("negmerge", "data", "demo")
    assert (done.returncode, done.stdout) == (1, "")
    assert "`negmerge data` needs PIL, which is not installed" in done.stderr


def test_the_wheel_has_all_files_of_the_package():
    (wheel,) = (ROOT / ".venv-clients" / "wheel").glob("*.whl")
    listed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    packages = ("negmerge", "snakemake_logger_plugin_negmerge")
    files = [file for package in packages for file in (SCRIPTS / package).rglob("*")]
    there = [file for file in files if file.is_file() and "__pycache__" not in file.parts]
    assert listed == {file.relative_to(SCRIPTS).as_posix() for file in there}
    assert "negmerge/py.typed" in listed


def test_a_folder_is_unlearned(tmp_path):
    torch.manual_seed(0)
    base = {"a.weight": torch.randn(30, 20), "norm.running_mean": torch.ones(5)}
    pool = [base | {"a.weight": base["a.weight"] + torch.randn(30, 20)} for _ in range(3)]
    for name, state in {"base": base, **{f"pool-{n}": s for n, s in enumerate(pool)}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"model_type": "made-up"}')
        save_file(state, tmp_path / name / "model.safetensors", metadata={"format": "pt"})
    words = ("unlearn", "base", "pool-0", "pool-1", "pool-2", "-o", "out", "--coefficient=0.75")
    done = run("negmerge", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    vector = merge("negmerge", [task_vector(base, state) for state in pool])
    expected, loaded = apply(base, vector, -0.75), load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {"model_type": "made-up"}
