import pytest

from negmerge.errors import UserError
from negmerge.settings.catalogue import load_catalogue, part_sizes


def test_the_project_s_rows_are_valid(catalogue):
    assert {"ViT-B-32", "ViT-B-16", "ViT-L-14", "mini-clip"} <= set(catalogue.models)
    for name, row in catalogue.datasets.items():
        if row.has_questions:
            continue
        # Two pairs of ImageNet's classes share a name.
        twice = 2 if name.startswith("imagenet") else 0
        assert len(set(catalogue.prompts[name].classes)) == row.classes - twice, name


# A key of a file of rows, its wrong value, and what the line says.
WRONG = [
    ("datasets.yaml", "digits/source", "scikit-digits", "did you mean 'scikit-learn-digits'?"),
    ("datasets.yaml", "digits/clases", 10, "'clases' in digits; did you mean 'classes'?"),
    ("prompts.yaml", "digits/templates", ["{}", "a photo"], "digits", "'a photo' has no {}"),
    ("prompts.yaml", "digits/classes", ["0", "1"], "digits has 2 class names", "expects 10"),
    ("models.yaml", "ViT-B-32/architecture", "ViT-B-32", "'ViT-B-32'", "ends in -quickgelu"),
    ("models.yaml", "ViT-B-32/hub/revision", "main", "ViT-B-32.hub.revision is 'main'"),
]


@pytest.mark.parametrize(("file", "place", "value", "parts"), [(*w[:3], w[3:]) for w in WRONG])
def test_the_line_names_what_is_wrong(config, change_yaml, file, place, value, parts):
    change_yaml(config / file, place, value)
    with pytest.raises(UserError) as caught:
        load_catalogue(config)
    line = str(caught.value)
    assert line.startswith(f"{config / file}: ")
    assert "\n" not in line
    for part in parts:
        assert part in line


def test_validation_images_are_cut_as_the_rule_says(catalogue):
    assert part_sizes(catalogue, "mnist") == {"train": 55000, "val": 5000, "test": 10000}
    assert part_sizes(catalogue, "cars") == {"train": 7330, "val": 814, "test": 8041}
