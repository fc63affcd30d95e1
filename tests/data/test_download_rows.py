"""Rows that say what to download are checked when they are read."""

import pytest

from negmerge.errors import UserError
from negmerge.settings.catalogue import load_catalogue

FILE = {"name": "a.zip", "urls": ["https://example.org/a.zip"], "md5": "0" * 32}
AT = "eurosat.files.images"
FINDINGS = {
    "no address": (FILE | {"urls": []}, "eurosat: a.zip has neither `urls` nor `manual`"),
    "no checksum": (FILE | {"md5": None}, "eurosat: a.zip has neither `sha256` nor `md5`"),
    "a short checksum": (FILE | {"md5": "0"}, f"{AT}.md5 is '0': string should match pattern"),
    "another protocol": (
        FILE | {"urls": ["file:///etc/passwd"]},
        f"{AT}.urls.0 is 'file:///etc/passwd': string should match pattern",
    ),
    "a path as name": (FILE | {"name": "../a"}, f"{AT}.name: '../a' becomes a file's name"),
    "an unknown key": (FILE | {"md6": 1}, f"unknown key 'md6' in {AT}; did you mean 'md5'?"),
    "size": (FILE | {"bytes": 0}, f"{AT}.bytes is 0: input should be greater than 0"),
}


def refused(config):
    with pytest.raises(UserError) as caught:
        load_catalogue(config)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{config / 'datasets.yaml'}: ")


@pytest.mark.parametrize(("file", "finding"), FINDINGS.values(), ids=FINDINGS)
def test_findings(config, change_yaml, file, finding):
    change_yaml(config / "datasets.yaml", "eurosat/files/images", file)
    assert refused(config).startswith(finding)


def test_two_files_of_one_name(config, change_yaml):
    change_yaml(config / "datasets.yaml", "eurosat/files/more", FILE | {"name": "EuroSAT.zip"})
    assert refused(config) == "eurosat: two files have one name: EuroSAT.zip, EuroSAT.zip"


def test_downloads_of_an_unknown_row(config, change_yaml):
    change_yaml(config / "datasets.yaml", "imagenet-val/shares", "imagenet-train")
    message = "imagenet-val.shares: unknown data set 'imagenet-train'; did you mean 'imagenet-val'?"
    assert refused(config).startswith(message)
