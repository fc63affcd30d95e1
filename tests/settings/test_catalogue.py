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


FINDINGS = {
    "a source": (
        "datasets.yaml",
        "digits/source",
        "scikit-digits",
        "digits.source: unknown source 'scikit-digits'; did you mean 'scikit-learn-digits'?",
    ),
    "a key": (
        "datasets.yaml",
        "digits/clases",
        10,
        "unknown key 'clases' in digits; did you mean 'classes'? valid: ",
    ),
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
    "another activation than the weights were trained with": (
        "models.yaml",
        "ViT-B-32/architecture",
        "ViT-B-32",
        "ViT-B-32: the openai weights need QuickGELU, but the architecture is 'ViT-B-32': expected "
        "one that ends in -quickgelu",
    ),
    "a branch as revision": (
        "models.yaml",
        "ViT-B-32/hub/revision",
        "main",
        "ViT-B-32.hub.revision is 'main': ",
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
