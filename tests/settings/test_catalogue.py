import pytest

from negmerge.errors import UserError
from negmerge.settings.catalogue import load_catalogue


def test_the_project_s_rows_are_valid(catalogue):
    assert {"ViT-B-32", "ViT-B-16", "ViT-L-14", "mini-clip"} <= set(catalogue.models)
    for name, row in catalogue.datasets.items():
        if row.has_questions:
            continue
        # Two pairs of ImageNet's classes share a name.
        twice = 2 if name.startswith("imagenet") else 0
        assert len(set(catalogue.prompts[name].classes)) == row.classes - twice, name


def test_weights_of_openai_go_with_quickgelu(catalogue):
    for name, row in catalogue.models.items():
        if row.weights == "openai":
            assert row.architecture == f"{name}-quickgelu"


ROW = ("datasets", "digits")
FINDINGS = {
    "a source": (
        "datasets.yaml",
        "digits/source",
        "scikit-digits",
        "digits: unknown source 'scikit-digits'; did you mean 'scikit-learn-digits'? valid: ",
    ),
    "a split": (
        "datasets.yaml",
        "digits/splits",
        {"training": 5},
        "digits: unknown split 'training'; did you mean 'train'? valid: pretrain, test, train",
    ),
    "no images": (
        "datasets.yaml",
        "digits/splits/train",
        0,
        "digits.splits.train is 0: input should be greater than 0",
    ),
    "a key": (
        "datasets.yaml",
        "digits/clases",
        10,
        "unknown key 'clases' in digits; did you mean 'classes'? valid: ",
    ),
    "a missing key": ("datasets.yaml", "digits/licence", None, "the key digits.licence is missing"),
    "a prompt without a place": (
        "prompts.yaml",
        "digits/templates",
        ["a photo of {}.", "a photo"],
        "digits: template 'a photo' has no {} for the class name",
    ),
    "too few class names": (
        "prompts.yaml",
        "digits/classes",
        ["0", "1"],
        "digits has 2 class names, its row in datasets.yaml expects 10",
    ),
    "class names that are numbers": (
        "prompts.yaml",
        "digits/classes",
        [0, 1],
        "digits.classes.0 is 0: input should be a valid string (and 1 more)",
    ),
    "no prompts": (
        "prompts.yaml",
        "digits",
        None,
        "digits has 0 class names, its row in datasets.yaml expects 10",
    ),
    "a colour too few": (
        "models.yaml",
        "mini-clip/mean",
        [0.3, 0.3],
        "mini-clip.mean is [0.3, 0.3]: list should have at least 3 items after validation, not 2",
    ),
    "another activation than the weights were trained with": (
        "models.yaml",
        "ViT-B-32/architecture",
        "ViT-B-32",
        "ViT-B-32: the openai weights need QuickGELU, but the architecture is 'ViT-B-32': expected "
        "one that ends in -quickgelu",
    ),
    "weights of others that are not wanted": (
        "models.yaml",
        "mini-clip/hub",
        {"repository": "owner/name", "file": "model.safetensors"},
        "mini-clip: `hub` names owner/name, but the workflow trains the model: expected a tag as "
        "`weights`, or `pretrained: true` in `architecture`",
    ),
    "a branch as revision": (
        "models.yaml",
        "ViT-B-32/hub/revision",
        "main",
        "ViT-B-32.hub.revision is 'main': ",
    ),
    "an architecture": (
        "models.yaml",
        "mini-clip/architecture",
        5,
        "mini-clip.architecture is 5: input should be a valid string or input should be a valid "
        "dictionary",
    ),
}


@pytest.mark.parametrize(("file", "place", "value", "finding"), FINDINGS.values(), ids=FINDINGS)
def test_findings(config, change_yaml, file, place, value, finding):
    change_yaml(config / file, place, value)
    with pytest.raises(UserError) as caught:
        load_catalogue(config)
    message = str(caught.value)
    assert message.startswith(f"{config / file}: {finding}")
    assert "\n" not in message


@pytest.mark.parametrize("name", ["datasets", "models", "prompts"])
def test_a_missing_file_is_named(config, name):
    (config / f"{name}.yaml").unlink()
    with pytest.raises(UserError) as caught:
        load_catalogue(config)
    assert str(caught.value) == f"{config / name}.yaml: no such file"
