"""Rows that say what to download are checked when they are read."""

import pytest

from negmerge import plugins
from negmerge.errors import UserError
from negmerge.settings import sources
from negmerge.settings.catalogue import load_catalogue
from negmerge.settings.datasets import COMMIT, HUB_FILE

FILE = {"name": "a.zip", "urls": ["https://example.org/a.zip"], "md5": "0" * 32}
AT = "eurosat.files.images"
FINDINGS = {
    "no address": (FILE | {"urls": []}, "eurosat: a.zip has neither `urls` nor `manual`"),
    "no checksum": (FILE | {"md5": None}, "eurosat: a.zip has neither `sha256` nor `md5`"),
    "another protocol": (
        FILE | {"urls": ["file:///etc/passwd"]},
        f"{AT}.urls.0 is 'file:///etc/passwd': string should match pattern",
    ),
    "a path as name": (FILE | {"name": "../a"}, f"{AT}.name: '../a' becomes a file's name"),
}


FOLDERS = "the source 'archive-folders' reads; found: "
# Place of a wrong value, the value, and the finding.
OF_SOURCES = [
    ("eurosat/options", {"seed": 0}, "eurosat: options: the key held_out is missing"),
    ("eurosat/options/share", 1,
     "eurosat: options: unknown option 'share'; valid: held_out, numbered, seed"),
    ("eurosat/files", {"image": "a.zip"},
     f"eurosat: files: the key 'images' is missing, which {FOLDERS}image"),
    ("eurosat/options/held_out", {"val": 0.5, "test": 0.5},
     "eurosat: options: held_out: the shares leave nothing to train on"),
    ("dtd/options/lists/test", [{"file": "lists"}],
     "dtd: files: the key 'lists' is missing, which the source 'archive-lists' reads; found: im"),
    ("imagenet/options/seed", 0, "imagenet: options: expected either `train_images` or `seed`"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "finding"), OF_SOURCES)
def test_findings_in_what_a_source_needs(config, change_yaml, place, value, finding):
    change_yaml(config / "datasets.yaml", place, value)
    assert refused(config).startswith(finding)


def test_every_source_says_what_it_needs():
    assert set(sources.SOURCES) == set(plugins.names(plugins.SOURCES))


def test_what_a_person_has_to_fetch_is_listed_for_a_folder(catalogue):
    found = {file["name"]: file["only_for"] for file in catalogue.by_hand("imagenet")}
    assert found == {
        "ILSVRC2012_img_train.tar": "imagenet",
        "ILSVRC2012_img_val.tar": "",
        "ILSVRC2012_devkit_t12.tar.gz": "",
    }
    assert [len(catalogue.by_hand(name)) for name in ("cars", "sun397", "mnist")] == [4, 2, 0]


def refused(config):
    with pytest.raises(UserError) as caught:
        load_catalogue(config)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{config / 'datasets.yaml'}: ")


@pytest.mark.parametrize(("file", "finding"), FINDINGS.values(), ids=FINDINGS)
def test_findings(config, change_yaml, file, finding):
    change_yaml(config / "datasets.yaml", "eurosat/files/images", file)
    assert refused(config).startswith(finding)


HUB = "https://huggingface.co/datasets/owner/set/resolve"
MIRRORS = [
    ("files/images", FILE | {"md5": None},
     "eurosat: mirror merging-benchmark: a.zip has neither `sha256` nor `md5`"),
    ("files/images", FILE | {"urls": [f"{HUB}/main/a.zip"]},
     "eurosat: mirror merging-benchmark: a.zip: its revision on the hub is 'main', expected "),
    ("files/images", FILE | {"manual": "Ask."},
     "eurosat.mirrors.0: a mirror's files are fetched: expected no `manual`"),
    ("files/more", FILE | {"name": "b"}, None),
    ("options/root", None, "eurosat: mirror merging-benchmark: options: the key root is missing"),
    ("inside", {"image": "a"},
     "eurosat: mirror merging-benchmark: files: the key 'images' is missing, which the source"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "finding"), MIRRORS)
def test_findings_in_mirrors(config, change_yaml, place, value, finding):
    change_yaml(config / "datasets.yaml", f"eurosat/mirrors/0/{place}", value)
    if finding is None:
        load_catalogue(config)
        change_yaml(config / "datasets.yaml", "eurosat/mirrors/0/inside", {"images": "a"})
        finding = "eurosat.mirrors.0: `inside` is of one archive, but there are 2 files"
    assert refused(config).startswith(finding)


SECRETS = [
    "https://user:secret@example.org/a.zip",
    "https://example.org/a.zip?token=secret",
]


@pytest.mark.parametrize("url", SECRETS)
def test_an_address_in_a_row_holds_no_password(config, change_yaml, url):
    change_yaml(config / "datasets.yaml", "eurosat/files/images", FILE | {"urls": [url]})
    message = refused(config)
    assert message.startswith("eurosat: a.zip: an address holds a password or token, which would")
    assert "secret" not in message


def test_every_file_of_the_hub_is_pinned(catalogue):
    for row in catalogue.datasets.values():
        for file in row.all_downloads.values():
            on_hub = [HUB_FILE.match(url) for url in file.urls if "huggingface" in url]
            assert all(found and COMMIT.fullmatch(found["revision"]) for found in on_hub)
    for row in catalogue.models.values():
        if row.hub:
            assert row.hub.revision
            # Where nobody has told them, they are noted when the file first arrives.
            assert row.hub.about_bytes or (row.hub.bytes and row.hub.sha256)
