"""What a job imports: most jobs of small studies take seconds, and some packages take as long."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
# `torch._dynamo` comes with torchvision, with the first optimizer of torch's, and with its
# `use_deterministic_algorithms`.
HEAVY = {
    "torch", "torch._dynamo", "torchvision", "timm", "open_clip", "sklearn", "matplotlib",
    "transformers", "tokenizers", "peft", "rouge_score",
}  # fmt: skip

# Executes the imports of scripts, then more code, and names what of HEAVY is loaded.
PROGRAM = f"""
import ast, json, sys
from pathlib import Path
from types import SimpleNamespace
row, code, *scripts = sys.argv[1:]
row = json.loads(row)
for script in scripts:
    body = ast.parse(Path(script).read_text()).body
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), script, "exec"), dict())
params = SimpleNamespace(torch_threads=1, get=dict().get)
JOB = SimpleNamespace(params=params, threads=1, resources=dict())
exec(code)
print(json.dumps(sorted({HEAVY} & set(sys.modules))))
"""

CLASSIFIER = """
import torch
from negmerge.evaluation.relearning import relearn_epochs
from negmerge.jobs import compute
from negmerge.models.classifiers import build_classifier, load_classifier
from negmerge.scenarios.classifier import jobs
from negmerge.settings.recipe import Augmentation
compute.prepare(JOB)
model = load_classifier(row, build_classifier(row, 2).state_dict(), "model")
batches = [(torch.rand(4, 3, row["size"], row["size"]), torch.tensor([0, 1, 0, 1]))]
relearn_epochs(model, [batches], batches, 5, 0.1, torch.device("cpu"))
for augmentation in (None, Augmentation(crop_scale=None, padding=2, flip=0.5)):
    if augmentation:
        jobs.augmentation.training_transform(augmentation, row["size"], *jobs.WITHIN_MODEL)
    jobs.augmentation.evaluation_transform(row["size"], *jobs.WITHIN_MODEL)
"""

ZERO_SHOT = """
from negmerge.jobs import compute
from negmerge.models.clip import image_tower
from negmerge.scenarios.zero_shot import jobs
compute.prepare(JOB)
image_tower(row)
jobs.augmentation.evaluation_transform(row["size"], row["mean"], row["std"])
"""


def loaded(scripts, row=None, code=""):
    """What scripts load together: in one process, since each takes seconds."""
    paths = [SCRIPTS / f"{script}.py" for script in scripts]
    command = [sys.executable, "-c", PROGRAM, json.dumps(row), code, *paths]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(found.stdout))


def test_jobs_of_a_resnet_need_nothing_but_torch(catalogue):
    row = catalogue.models["mini-resnet"].model_dump()
    assert loaded(["score", "sweep", "train", "finetune"], row, CLASSIFIER) == {"torch"}


def test_jobs_of_the_miniature_clip_need_nothing_but_torch(catalogue):
    row = catalogue.models["mini-clip"].model_dump()
    scripts = ["score", "sweep", "greedy", "export"]
    assert loaded(scripts, row, ZERO_SHOT) == {"torch"}


def test_jobs_without_a_model_need_no_torch():
    scripts = ["download", "prepare", "split", "table", "report"]
    assert loaded(scripts) == set()
