"""docs/forget-in-your-classifier.md, followed to the end with a small network and few images."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from followed import add, blocks, follow
from PIL import Image
from torch.nn import functional
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import functional as pictures

from tiny_study import ROOT

PAGE = ROOT / "docs" / "forget-in-your-classifier.md"
# Of Fashion-MNIST, the class and how many images there are of it.
CLASSES = {"ankle-boot": 9, "bag": 8, "dress": 3, "trouser": 1}
COUNTS = {"train": 40, "test": 15}
RESULTS = "results/ours"


def make_photos(folder):
    """Write images of Fashion-MNIST as photographs in folders."""
    source = ROOT / "resources" / "fashion-mnist"
    for split, start in (("train", "train"), ("test", "t10k")):
        pixels = gzip.decompress((source / f"{start}-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress((source / f"{start}-labels-idx1-ubyte.gz").read_bytes())
        images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28)
        truth = np.frombuffer(labels, np.uint8, offset=8)
        for name, label in CLASSES.items():
            place = folder / split / name
            place.mkdir(parents=True)
            for number, image in enumerate(images[truth == label][: COUNTS[split]]):
                Image.fromarray(image).convert("RGB").save(place / f"{number:04}.jpg", quality=95)


def seen(folder, split):
    """The images of a split as the network sees them, their labels and names, by ImageFolder."""
    found = ImageFolder(folder / split)
    images = [pictures.to_tensor(image.resize((32, 32), Image.BICUBIC)) for image, _ in found]
    names = [Path(path).relative_to(folder).as_posix() for path, _ in found.samples]
    return (torch.stack(images) - 0.5) / 0.25, torch.tensor(found.targets), names


def train(folder, target):
    """Train a network for some steps, elsewhere as it were, and save it as people do."""
    torch.manual_seed(0)
    images, labels, _ = seen(folder, "train")
    network = resnet18(num_classes=len(CLASSES))
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(3):
        for batch in torch.randperm(len(labels)).split(20):
            optimizer.zero_grad()
            functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    torch.save({"model": network.state_dict(), "epoch": 3}, target)
    return network.eval()


def right(network, images, labels):
    with torch.no_grad():
        return int((network(images).argmax(1) == labels).sum())


@pytest.fixture(scope="module")
def ours(checkout, tmp_path_factory):
    """The workflow with what the page adds, before any run; and the network."""
    made = checkout.copy(tmp_path_factory.mktemp("ours") / "workflow")
    add(made, PAGE)
    (made.folder / "forget.txt").write_text(blocks(PAGE, "text")[0])
    make_photos(made.folder / "photos")
    made.network = train(made.folder / "photos", made.folder / "classifier.pth")
    return made


@pytest.fixture(scope="module")
def done(ours, tmp_path_factory):
    """A copy in which the page's commands have run, with what they printed."""
    made = ours.copy(tmp_path_factory.mktemp("done") / "workflow")
    made.network = ours.network
    made.printed = follow(made, PAGE)
    return made


def score(done, experiment, method):
    place = done.folder / RESULTS / experiment / "trial1/scores" / f"{method}.json"
    [found] = json.loads(place.read_text())
    return found


def counted(record, *roles):
    return [(record[role]["correct"], record[role]["n"]) for role in roles]


def test_nothing_is_trained_before_the_pool(done):
    ran = set(re.findall(r"^Job \d+: (\w+): ", done.printed, flags=re.M))
    assert {"prepare", "original", "split", "finetune", "merge", "evaluate", "export"} <= ran
    assert "train" not in ran


def test_the_original_is_the_network_as_it_was(done):
    folder = done.folder / "photos"
    train_images, train_labels, names = seen(folder, "train")
    test_images, test_labels, _ = seen(folder, "test")
    listed = blocks(PAGE, "text")[0].split()
    is_listed = torch.tensor([name in listed for name in names])
    expected = [
        (right(done.network, images, labels), len(labels))
        for images, labels in (
            (train_images[is_listed], train_labels[is_listed]),
            (train_images[~is_listed], train_labels[~is_listed]),
            (test_images, test_labels),
        )
    ]
    found = score(done, "photos", "original")
    assert counted(found, "forget", "retain", "test") == expected
    assert [n for _, n in expected] == [6, 154, 60]


def test_test_images_of_a_forgotten_class_are_scored_apart(done):
    images, labels, names = seen(done.folder / "photos", "test")
    is_bag = torch.tensor([name.startswith("test/bag/") for name in names])
    found = score(done, "bags", "original")
    expected = [
        (right(done.network, images[chosen], labels[chosen]), int(chosen.sum()))
        for chosen in (~is_bag, is_bag)
    ]
    assert counted(found, "test", "forget_test") == expected
    assert [n for _, n in counted(found, "forget", "retain", "test", "forget_test")] == [
        40, 120, 45, 15,
    ]  # fmt: skip


def test_the_table_shows_what_can_be_shown_without_retrain(done):
    cells = pd.read_csv(done.folder / RESULTS / "tables/known.csv", keep_default_na=False)
    measured = cells[(cells["column"] == "bags") & (cells["experiment"] == "mean")]
    assert {"retain", "forget", "test", "forget_test", "mia"} <= set(measured["metric"])
    assert "gap" not in set(cells["metric"])
    assert "forget_test" not in set(cells.loc[cells["column"] == "photographs", "metric"])
    for experiment in ("photos", "bags"):
        before, after = (score(done, experiment, name) for name in ("original", "negmerge"))
        assert after["forget"]["correct"] <= before["forget"]["correct"]
        assert after["retain"]["correct"] >= 0.95 * before["retain"]["correct"]


def test_the_unlearned_model_loads_where_it_came_from(done, monkeypatch):
    monkeypatch.chdir(done.folder)
    names = {}
    exec(blocks(PAGE, "python")[-1], names)
    network = names["network"].eval()
    images, labels, _ = seen(done.folder / "photos", "test")
    found = score(done, "photos", "negmerge")
    assert counted(found, "test") == [(right(network, images, labels), len(labels))]


def test_a_network_of_one_s_own_code_has_the_same_scores_and_counts_among_what_changes(
    done, tmp_path
):
    own, target = done.copy(tmp_path / "workflow"), f"{RESULTS}/bags/trial1/scores/original.json"
    expected = (own.folder / target).read_bytes()
    (own.folder / "network.py").write_text(blocks(PAGE, "python")[0])
    [row] = re.findall(r"`(architecture: {kind: factory, .*?)`", PAGE.read_text())
    own.edit("config/models.yaml", "architecture: {kind: torchvision, name: resnet18}", row)
    assert "original" in own.make(target)
    [found], [before] = (
        json.loads(text) for text in ((own.folder / target).read_bytes(), expected)
    )
    roles = ("forget", "retain", "test", "forget_test")
    assert counted(found, *roles) == counted(before, *roles)
    assert not own.planned(target)
    own.edit("network.py", "return", "# Another file of code, which gives the same.\n    return")
    assert "original: bags" in own.planned(target)


def test_a_new_image_is_prepared_and_changes_what_is_forgotten_by_name(done):
    target = f"{RESULTS}/tables/known.md"
    assert not done.planned(target)
    place = done.folder / "photos/train/ankle-boot"
    new = place / "0000a.jpg"
    new.write_bytes((place / "0000.jpg").read_bytes())
    planned = done.planned(target)
    new.unlink()
    (done.folder / "photos").touch()
    assert not done.planned(target)
    assert {"prepare: photos", "split: photos, trial1", "split: bags, trial1"} <= planned
    assert "original: photos" not in planned
