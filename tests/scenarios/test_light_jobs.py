"""What a job imports: most jobs of small studies take seconds, and some packages take as long."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
# `torch._dynamo` comes with torchvision, with the first optimizer of torch's, and with its
# `use_deterministic_algorithms`.
HEAVY = {
    "torch", "torch._dynamo", "torchvision", "timm", "open_clip", "sklearn", "matplotlib",
    "transformers", "tokenizers", "peft", "rouge_score",
}  # fmt: skip

# Executes the imports of a script, then more code, and names what of HEAVY is loaded.
PROGRAM = f"""
import ast, json, sys
from pathlib import Path
from types import SimpleNamespace
body = ast.parse(Path(sys.argv[1]).read_text()).body
imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
exec(compile(ast.Module(imports, []), sys.argv[1], "exec"))
row = json.loads(sys.argv[2])
params = SimpleNamespace(torch_threads=1, get=dict().get)
JOB = SimpleNamespace(params=params, threads=1, resources=dict())
exec(sys.argv[3])
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
from negmerge.models.image_encoder import image_tower
from negmerge.scenarios.zero_shot import jobs
compute.prepare(JOB)
image_tower(row)
jobs.augmentation.evaluation_transform(row["size"], row["mean"], row["std"])
"""


def loaded(script, row=None, code=""):
    command = [sys.executable, "-c", PROGRAM, SCRIPTS / f"{script}.py", json.dumps(row), code]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(found.stdout))


@pytest.mark.parametrize("script", ["evaluate", "sweep", "train", "finetune"])
def test_a_job_of_a_resnet_needs_nothing_but_torch(script, catalogue):
    row = catalogue.models["mini-resnet"].model_dump()
    assert loaded(script, row, CLASSIFIER) == {"torch"}


@pytest.mark.parametrize("script", ["evaluate", "sweep", "search", "greedy", "export"])
def test_a_job_of_the_miniature_clip_needs_nothing_but_torch(script, catalogue):
    row = catalogue.models["mini-clip"].model_dump()
    assert loaded(script, row, ZERO_SHOT) == {"torch"}


@pytest.mark.parametrize(
    "script", ["download", "prepare", "split", "select_coefficient", "table", "report"]
)
def test_a_job_without_a_model_needs_no_torch(script):
    assert loaded(script) == set()
