import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import settings
from PIL import Image

import warm_python
from negmerge.data.preparation import write_images
from negmerge.settings.catalogue import load_catalogue
from negmerge.settings.load import load_yaml
from negmerge.settings.study import load_study
from refusals import refused

ROOT = Path(__file__).parents[1]
# Tests import the modules of benchmarks/, as Python does for a script that it starts.
sys.path.insert(0, str(ROOT / "benchmarks"))
CONFIG = ROOT / "config"
# Folders whose tests take seconds each: they start first, so that both workers end with short ones.
LONG = ("containers", "site", "workflow", "jobs", "data", "packaging")

# Nothing answers there: what asks the network for something fails at once, wherever tests run.
os.environ |= dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
os.environ |= {"no_proxy": "127.0.0.1,localhost"}
if warm_python.PLACE not in os.environ:  # the workers of xdist have that of the main process
    warm_python.start()
pytest_plugins = ["tiny_study"]

# The same examples each time, so that a failure is a change of the code.
settings.register_profile("project", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("project")
# Tests may run side by side, and more threads than cores make small operations slow.
torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Put long tests first."""

    def place(item) -> int:
        folder = item.path.parent.name
        return LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=place)


class Golden:
    """A file of reference vectors; see golden/README.md."""

    def __init__(self, name: str):
        self.arrays = np.load(Path(__file__).parent / "golden" / f"{name}.npz")
        self.meta = json.loads(str(self.arrays["meta"]))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def state(self, prefix: str) -> dict[str, torch.Tensor]:
        names = [name for name in self.arrays.files if name.startswith(f"{prefix}/")]
        assert names, prefix
        return {name.split("/", 1)[1]: torch.from_numpy(self.arrays[name]) for name in names}

    def states(self, prefix: str) -> list[dict[str, torch.Tensor]]:
        """The states `{prefix}0`, `{prefix}1`, ... that there are."""
        folders = {name.split("/")[0] for name in self.arrays.files}
        names = [name for name in folders if re.fullmatch(rf"{prefix}\d", name)]
        return [self.state(name) for name in sorted(names)]


@pytest.fixture
def torch_settings():
    """Bring back what jobs set for the whole process: threads, determinism, precision."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("default")
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


@pytest.fixture(scope="session")
def golden():
    return Golden


@pytest.fixture(scope="session")
def catalogue():
    return load_catalogue(CONFIG)


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    """A folder with what a run needs, and no more."""
    folder = tmp_path_factory.mktemp("workflow")
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in ("rules", "config", "workflow", "envs", "report", "resources", "profiles"):
        shutil.copytree(ROOT / part, folder / part, ignore=left_out)
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "rules.svg", folder / "docs")
    shutil.copy(ROOT / "Snakefile", folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def config(tmp_path):
    """A copy of the configuration folder, to spoil, with one more study, `example`."""
    folder = tmp_path / "config"
    shutil.copytree(CONFIG, folder)
    shutil.copy(Path(__file__).parent / "example.yaml", folder / "studies")
    return folder


@pytest.fixture
def change_yaml():
    """A function that changes one value of a YAML file; None takes the key away."""

    def change(path: Path, place: str, value):
        content = load_yaml(path)
        *parents, key = place.split("/")
        inner = content
        for parent in parents:
            inner = inner[int(parent) if isinstance(inner, list) else parent]
        if value is None:
            del inner[key]
        else:
            inner[key] = value
        path.write_text(yaml.safe_dump(content))

    return change


@pytest.fixture
def example_with(config, change_yaml):
    """A function that changes keys of the example study, by their places, and reads it."""

    def read(changes=()):
        for place, value in dict(changes).items():
            change_yaml(config / "studies" / "example.yaml", place, value)
        return load_study(config, "example")

    return read


@pytest.fixture
def spoil(config, example_with):
    """A function that spoils the example study and gives the finding, without the path."""

    def spoil(place, value):
        path = config / "studies" / "example.yaml"
        message = refused(lambda: example_with({place: value}))
        assert message.startswith(f"{path}: ")
        return message.removeprefix(f"{path}: ")

    return spoil


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A prepared data set: 40 training and 10 test images, each of one grey level, 4 classes."""
    path = tmp_path_factory.mktemp("prepared") / "images.safetensors"
    splits = {"train": 40, "test": 10}
    images = [
        (split, number % 4, Image.new("RGB", (20, 16), (number * 5, split == "test" and 255, 9)))
        for split, count in splits.items()
        for number in range(count)
    ]
    write_images(path, images, splits, 4)
    return path
