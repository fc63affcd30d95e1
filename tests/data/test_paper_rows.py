"""The rows of the paper's data sets have its sizes, prompts and class names."""

import pytest
from open_clip import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES

from negmerge.data import train_val_split
from negmerge.data.splits import VALIDATION_LIMIT

# Classes, templates, then images: training before anything is held out, for training, val, test.
TARGETS = {
    "cars": (196, 8, 8144, 7330, 814, 8041),
    "dtd": (47, 8, 3760, 3384, 376, 1880),
    "eurosat": (10, 3, 21_600, 21_600, 2700, 2700),
    "gtsrb": (43, 3, 26_640, 23_976, 2664, 12_630),
    "mnist": (10, 1, 60_000, 55_000, 5000, 10_000),
    "resisc45": (45, 18, 18_900, 17_010, 1890, 6300),
    "sun397": (397, 2, 19_850, 17_865, 1985, 19_850),
    "svhn": (10, 1, 73_257, 68_257, 5000, 26_032),
}
OTHERS = {
    "imagenet": {"val": 5000, "test": 50_000},
    "imagenet-val": {"val": 5000, "test": 45_000},
    "imagenet-v2": {"val": 5000, "test": 5000},
    "cifar10": {"train": 50_000, "test": 10_000},
    "cifar100": {"train": 50_000, "test": 10_000},
    "tiny-imagenet": {"train": 100_000, "test": 10_000},
    "tiny-imagenet-salun": {"train": 100_000, "val": 5000, "test": 5000},
    "cub": {"train": 5994, "test": 5794},
    "fashion-mnist": {"train": 60_000, "test": 10_000},
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_eight_sets_have_the_paper_s_sizes(catalogue, name):
    row, prompts = catalogue.datasets[name], catalogue.prompts[name]
    classes, templates, pool, train, val, test = TARGETS[name]
    assert (row.classes, len(prompts.templates)) == (classes, templates)
    assert (row.splits["train"], row.splits["test"]) == (pool, test)
    if name == "eurosat":
        assert row.splits["val"] == val
    else:
        assert "val" not in row.splits
        assert val == min(int(0.1 * pool), VALIDATION_LIMIT)
        training, validation = train_val_split(pool, name)
        assert (len(training), len(validation)) == (train, val)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_sets_have_their_sizes(catalogue, name):
    assert catalogue.datasets[name].splits == OTHERS[name]


def test_the_prompts_of_imagenet_are_open_clip_s(catalogue):
    prompts = catalogue.prompts["imagenet"]
    assert prompts.classes == list(IMAGENET_CLASSNAMES)
    assert prompts.templates == [template("{}") for template in OPENAI_IMAGENET_TEMPLATES]
    assert catalogue.prompts["imagenet-val"] == prompts


def test_rows_that_share_downloads_have_the_same_files(catalogue):
    for row in catalogue.datasets.values():
        if row.downloads_of:
            assert row.downloads.items() <= catalogue.datasets[row.downloads_of].downloads.items()
