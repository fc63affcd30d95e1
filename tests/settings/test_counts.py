"""How many images each role of a task has."""

import pytest

from negmerge.errors import UserError
from negmerge.settings.catalogue import part_sizes
from negmerge.settings.study import load_study


def test_validation_images_are_cut_as_the_rule_says(catalogue):
    assert part_sizes(catalogue, "mnist") == {"train": 55000, "val": 5000, "test": 10000}
    assert part_sizes(catalogue, "cars") == {"train": 7330, "val": 814, "test": 8041}
    assert part_sizes(catalogue, "eurosat")["train"] == 21600


def test_a_classifier_forgets_a_share_or_a_list(config, change_yaml, tmp_path):
    path = config / "studies" / "example.yaml"

    def counted():
        study = load_study(config, "example")
        found = study.experiments["mini-resnet"].image_counts("trial1", study.catalogue)
        return [found[role]["train"] for role in ("forget", "retain", "original", "test")]

    assert counted() == [200, 1800, 2000, 1000]
    change_yaml(path, "experiments/mini-resnet/forget", {"rule": "salun", "share": 0.1})
    assert counted() == [180, 1620, 1800, 1000]
    given = tmp_path / "forget.txt"
    change_yaml(path, "experiments/mini-resnet/forget", {"rule": "given", "file": str(given)})
    with pytest.raises(UserError, match=r"forget\.txt: cannot be read"):
        counted()
    given.write_text("3\n5\n8\n")
    assert counted() == [3, 1997, 2000, 1000]
