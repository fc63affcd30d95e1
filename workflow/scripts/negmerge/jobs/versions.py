"""What a job computed with: versions of packages, and the machine."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from negmerge import __version__

# What is written down of a package if a job has loaded it: module -> the package's name.
PACKAGES = {
    "jinja2": "jinja2",
    "markupsafe": "markupsafe",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "open_clip": "open_clip_torch",
    "pandas": "pandas",
    "peft": "peft",
    "PIL": "pillow",
    "pydantic": "pydantic",
    "yaml": "pyyaml",
    "rouge_score": "rouge-score",
    "safetensors": "safetensors",
    "sklearn": "scikit-learn",
    "scipy": "scipy",
    "timm": "timm",
    "tokenizers": "tokenizers",
    "torch": "torch",
    "torchvision": "torchvision",
    "tqdm": "tqdm",
    "transformers": "transformers",
}

# Where the driver lists the GPUs of this machine, or of this container.
GPUS = Path("/proc/driver/nvidia/gpus")


def count_gpus() -> int:
    """Count the NVIDIA GPUs that jobs may use on this machine, without torch; 0: none is known."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return len(listed.split(",") if listed else list(GPUS.glob("*")))


def version(package: str) -> str | None:
    """Return the version of a package, or None if its files do not have it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return the versions of Python, of this library and of the packages that are loaded."""
    found = {"python": platform.python_version(), "negmerge": __version__}
    loaded = (package for module, package in PACKAGES.items() if module in sys.modules)
    return found | {package: version(package) or "unknown" for package in loaded}


def machine(device: str) -> dict[str, str]:
    """Describe the machine: system, device, and what decides the last bits of sums there."""
    found = {"system": platform.platform(), "device": device}
    torch = sys.modules.get("torch")
    if torch is not None:
        # Sums differ between kinds of processors, as they do between GPUs.
        found["vectors"] = torch.backends.cpu.get_cpu_capability()
        if device == "cuda":
            found["gpu"] = torch.cuda.get_device_name()
    return found
