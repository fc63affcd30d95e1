"""Rows of data sets: what is checked, the paper's sizes, and from which files a set is made."""

import json

import pytest
from open_clip import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES
from safetensors.numpy import save_file

from negmerge.data import train_val_split
from negmerge.data.splits import VALIDATION_LIMIT
from negmerge.errors import UserError
from negmerge.settings.catalogue import load_catalogue
from negmerge.settings.datasets import choose, differences
from negmerge.settings.downloads import COMMIT, HUB_FILE
from negmerge.settings.study import load_study

FILE = {"name": "a.zip", "urls": ["https://example.org/a.zip"], "md5": "0" * 32}
UNPINNED = "https://huggingface.co/datasets/owner/set/resolve/main/a.zip"
# File and place of a wrong value, the value, and what the finding starts with.
SETS = [
    ("eurosat/files/images", FILE | {"urls": []}, "eurosat: a.zip has neither `urls` nor `manual`"),
    ("eurosat/files/images", FILE | {"md5": None}, "eurosat: a.zip has neither `sha256` nor `md5`"),
    ("eurosat/files/images", FILE | {"urls": ["file:///etc/passwd"]},
     "eurosat.files.images.urls.0 is 'file:///etc/passwd': "),
    ("eurosat/files/images", FILE | {"name": "../a"}, "eurosat.files.images.name: '../a' becomes"),
    ("eurosat/files/images", FILE | {"urls": ["https://user:secret@example.org/a.zip"]},
     "eurosat: a.zip: an address holds a password or token"),
    ("eurosat/files/images", FILE | {"urls": ["https://example.org/a.zip?token=secret"]},
     "eurosat: a.zip: an address holds a password or token"),
    ("eurosat/source", "archive-folder", "eurosat.source: unknown source 'archive-folder'; did "),
    ("eurosat/options", {"seed": 0}, "eurosat: options: the key held_out is missing"),
    ("eurosat/options/share", 1, "eurosat: options: unknown option 'share'; valid: held_out, "),
    ("eurosat/options/held_out", {"val": 0.5, "test": 0.5}, "eurosat: options: held_out: the shar"),
    ("eurosat/files", {"image": "a.zip"}, "eurosat: files: the key 'images' is missing, which the"),
    ("dtd/options/lists/test", [{"file": "lists"}], "dtd: files: the key 'lists' is missing, whic"),
    ("imagenet/options/seed", 0, "imagenet: options: expected either `train_images` or `seed`"),
    ("eurosat/mirrors/0/files/images", FILE | {"urls": [UNPINNED]},
     "eurosat: mirror merging-benchmark: a.zip: its revision on the hub is 'main', expected "),
    ("eurosat/mirrors/0/files/images", FILE | {"manual": "Ask."},
     "eurosat.mirrors.0: a mirror's files are fetched: expected no `manual`"),
    ("digits/clases", 10, "unknown key 'clases' in digits; did you mean 'classes'?"),
    ("invented-authors/options/seed", None, "invented-authors: options: the key seed is missing"),
    ("invented-authors/splits/train", 9, "invented-authors: unknown split 'train'"),
    ("invented-authors/options/per_author", 11, "invented-authors: options: per_author is 11: "),
]  # fmt: skip
WRONG = [
    *(("datasets", *row) for row in SETS),
    ("prompts", "digits/templates", ["{}", "a"], "digits: template 'a' has no {} for the class"),
    ("prompts", "digits/classes", ["0", "1"], "digits has 2 class names, its row in datasets.yaml"),
    ("models", "ViT-B-32/architecture", "ViT-B-32", "ViT-B-32: the openai weights need QuickGELU"),
    ("models", "ViT-B-32/hub/revision", "main", "ViT-B-32.hub.revision is 'main': "),
]


@pytest.mark.parametrize(("file", "place", "value", "finding"), WRONG)
def test_wrong_rows_are_named(config, change_yaml, file, place, value, finding):
    change_yaml(config / f"{file}.yaml", place, value)
    with pytest.raises(UserError) as caught:
        load_catalogue(config)
    message = str(caught.value)
    assert message.startswith(f"{config / file}.yaml: {finding}")
    assert "\n" not in message
    assert "secret" not in message


def test_what_a_person_has_to_fetch_is_listed_for_a_folder(catalogue):
    only_for = {file["name"]: file["only_for"] for file in catalogue.by_hand("imagenet")}
    assert only_for == {
        "ILSVRC2012_img_train.tar": "imagenet",
        "ILSVRC2012_img_val.tar": "",
        "ILSVRC2012_devkit_t12.tar.gz": "",
    }
    assert [len(catalogue.by_hand(name)) for name in ("cars", "sun397", "mnist")] == [4, 2, 0]


def test_every_file_of_the_hub_is_pinned(catalogue):
    for row in catalogue.datasets.values():
        for file in row.all_downloads.values():
            on_hub = [HUB_FILE.match(url) for url in file.urls if "huggingface" in url]
            assert all(match and COMMIT.fullmatch(match["revision"]) for match in on_hub)
        if row.downloads_of:
            assert row.downloads.items() <= catalogue.datasets[row.downloads_of].downloads.items()
    for row in catalogue.models.values():
        if row.hub:
            assert row.hub.revision
            # Where nobody has told them, they are noted when the file first arrives.
            assert row.hub.about_bytes or (row.hub.bytes and row.hub.sha256)


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


@pytest.mark.parametrize("name", TARGETS)
def test_the_eight_sets_have_the_paper_s_sizes(catalogue, name):
    row, prompts = catalogue.datasets[name], catalogue.prompts[name]
    assert len(set(prompts.classes)) == len(prompts.classes)
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


def test_the_prompts_of_imagenet_are_open_clip_s(catalogue):
    prompts = catalogue.prompts["imagenet"]
    assert prompts.classes == list(IMAGENET_CLASSNAMES)
    assert prompts.templates == [template("{}") for template in OPENAI_IMAGENET_TEMPLATES]
    assert catalogue.prompts["imagenet-val"] == prompts


@pytest.fixture
def chosen(catalogue, tmp_path):
    """A function that names the mirror from which a set is made."""

    def run(name="cars", asked=None):
        mirror = choose(name, catalogue.datasets, tmp_path, asked)
        return mirror and mirror.name

    return run


def test_a_mirror_stands_in_for_files_by_hand_until_all_are_there(chosen, catalogue, tmp_path):
    folder = tmp_path / "downloads" / "cars"
    folder.mkdir(parents=True)
    for name in catalogue.datasets["cars"].downloads:
        assert chosen() == "merging-benchmark"
        (folder / name).touch()
    assert chosen() is None
    assert not any(map(chosen, ("eurosat", "resisc45", "svhn", "imagenet", "digits")))
    # What has been prepared stays with what it was made from, but for what the user asks.
    (tmp_path / "cars").mkdir()
    prepared = tmp_path / "cars" / "images.safetensors"
    save_file({}, prepared, {"splits": json.dumps({}), "mirror": "parquet"})
    assert chosen() == "parquet"
    assert chosen(asked={"cars": "merging-benchmark"}) == "merging-benchmark"
    assert chosen(asked={"cars": "original"}) is None
    prepared.write_bytes(b"\xff" * 20)
    assert chosen() is None
    with pytest.raises(UserError, match=r"^config.yaml: data_sources.cars: unknown source 'parq"):
        chosen(asked={"cars": "parquets"})


def test_what_decides_the_images_of_a_mirror_and_what_tables_say_of_it(config, catalogue):
    row = catalogue.datasets["cars"]
    archive, parquet = row.mirrors
    assert catalogue.contents("cars") == row.contents()
    assert "mirrors" not in row.contents()
    contents = catalogue.contents("cars", parquet)
    assert contents["class_names"] == catalogue.prompts["cars"].classes
    assert (contents["source"], contents["name"]) == ("parquet", "parquet")
    # Neither another address nor a better estimate prepares anything anew.
    (file,) = archive.files.values()
    changed = file.model_copy(update={"urls": ["https://example.org/x"], "about_bytes": 1})
    other = archive.model_copy(update={"files": {"images": changed}})
    assert catalogue.contents("cars", other) == catalogue.contents("cars", archive)
    study = load_study(config, "paper", options=False)
    assert {"cars", "imagenet"} <= set(study.datasets_of(study.tables["table1"]))
    assert study.datasets_of(study.tables["table2"]) == ["cifar10"]
    rows = dict(catalogue.datasets)
    assert differences(rows, {"cars": archive, "dtd": None}) == []
    rows["dtd"] = rows["dtd"].model_copy(update={"differs": "saved as JPEG"})
    assert rows["dtd"].contents() == catalogue.datasets["dtd"].contents()
    note, other = differences(rows, {"cars": parquet, "dtd": None})
    assert other == "dtd: saved as JPEG."
    assert note.startswith("cars (mirror parquet): the order of the images is another one")
