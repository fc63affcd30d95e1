"""Data sets of image classification, in the files that their authors publish, streamed."""

import gzip
import io
import struct
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.random import RandomState
from PIL import Image
from pydantic import Field, PositiveInt, model_validator

from negmerge.data.archives import (
    Member,
    csv_rows,
    errors_in_one_line,
    file_name,
    label_numbers,
    lines,
    listed_members,
    members,
    read_file,
    read_members,
    table,
)
from negmerge.data.sources import Files, Source, Split, images_only
from negmerge.data.splits import train_val_split
from negmerge.errors import UserError
from negmerge.settings.recipe import Seed, Settings

Items = Iterator[tuple[str, int, Member, tuple]]
Pixels = Iterator[tuple[str, int, Image.Image]]


def matlab(content: bytes, where: str, *names: str) -> list[Any]:
    """Read variables of a MATLAB file; dimensions of length 1 are dropped."""
    from scipy.io import loadmat

    with errors_in_one_line(where):
        variables = loadmat(io.BytesIO(content), squeeze_me=True, variable_names=names)
        return [variables[name] for name in names]


def read_cars(files: Files, row: Mapping) -> Items:
    """Read Stanford Cars (Krause et al., 2013) in the order of the annotations."""
    inside = "devkit/cars_train_annos.mat"
    annotations = {
        "train": (read_members(files["devkit"], [inside])[0], f"{files['devkit']}: {inside}"),
        "test": (read_file(files["test-labels"]), files["test-labels"]),
    }
    for number, (split, (content, where)) in enumerate(annotations.items()):
        (records,) = matlab(content, where, "annotations")
        with errors_in_one_line(where):
            # Labels start at 1 there.
            labels = [int(label) - 1 for label in np.atleast_1d(records["class"])]
            names = list(map(str, np.atleast_1d(records["fname"])))
        listed = {name: (labels[place], place) for place, name in enumerate(names)}
        images = listed_members(files[f"{split}-images"], listed, file_name)
        for member, (label, place) in images:
            yield split, label, member, (number, place)


def read_svhn(files: Files, row: Mapping) -> Pixels:
    """Read the cropped digits of Street View House Numbers (Netzer et al., 2011)."""
    for split in row["splits"]:
        pixels, labels = matlab(read_file(files[split]), files[split], "X", "y")
        images = np.moveaxis(pixels, -1, 0)
        for image, label in zip(images, labels.ravel().tolist(), strict=True):
            # The files label the digit 0 with 10.
            yield split, int(label) % 10, Image.fromarray(image)


def read_cifar10(files: Files, row: Mapping) -> Items:
    """Read CIFAR-10 (Krizhevsky, 2009), binary version, which needs no unpickling."""
    batches = {f"data_batch_{number}": "train" for number in range(1, 6)} | {"test_batch": "test"}
    return _cifar(files["images"], "cifar-10-batches-bin", batches, labels=1)


def read_cifar100(files: Files, row: Mapping) -> Items:
    """Read CIFAR-100, which has the number of a coarse class before the label."""
    batches = {"train": "train", "test": "test"}
    return _cifar(files["images"], "cifar-100-binary", batches, labels=2)


def _cifar(archive: str, folder: str, batches: Mapping[str, str], labels: int) -> Items:
    """Read batches of records: labels, then 1,024 red, green and blue values each."""
    listed = {f"{folder}/{name}.bin": (p, split) for p, (name, split) in enumerate(batches.items())}
    for member, (place, split) in listed_members(archive, listed):
        with errors_in_one_line(member):
            records = np.frombuffer(member.read(), np.uint8).reshape(-1, labels + 3 * 32 * 32)
        for number, record in enumerate(records):
            pixels = record[labels:].reshape(3, 32, 32).transpose(1, 2, 0)
            yield split, int(record[labels - 1]), Image.fromarray(pixels.copy()), (place, number)


def read_cub(files: Files, row: Mapping) -> Items:
    """Read Caltech-UCSD Birds-200-2011 (Wah et al., 2011) in the order of the images' ids."""
    path, folder = files["images"], "CUB_200_2011"
    parts = "images", "image_class_labels", "train_test_split"
    lists = [f"{folder}/{part}.txt" for part in parts]
    names, labels, splits = (
        dict(table(content, f"{path}: {name}", columns=2))
        for name, content in zip(lists, read_members(path, lists), strict=True)
    )
    wanted = {f"{folder}/images/{name}": number for number, name in names.items()}
    for member, number in listed_members(path, wanted):
        split = {"1": "train", "0": "test"}[splits[number]]
        yield split, int(labels[number]) - 1, member, (int(number),)


def read_gtsrb(files: Files, row: Mapping) -> Items:
    """Read the German Traffic Sign Recognition Benchmark in the form of the competition of 2011.

    Its training set ("Training_fixed") has 26,640 images, not the 39,209 of the final one.
    """
    for member in members(files["train"]):
        path = PurePosixPath(member.name)
        if path.suffix == ".ppm":
            label = int(path.parent.name)
            yield "train", label, member, (0, label, path.name)
    rows = csv_rows(f"{files['test-labels']}/GT-final_test.csv", ("Filename", "ClassId"), ";")
    listed = {row["Filename"]: (n, int(row["ClassId"])) for n, (_, row) in enumerate(rows)}
    for member, (place, label) in listed_members(files["test"], listed, file_name):
        yield "test", label, member, (1, place)


class IdxOptions(Settings):
    first: dict[Split, PositiveInt] = Field(
        {}, description="How many images of a split are taken; others are taken whole."
    )

    def files(self, splits: Collection[str]) -> set[str]:
        return {f"{split}-{what}" for split in splits for what in ("images", "labels")}


def read_idx(files: Files, row: Mapping) -> Pixels:
    """Read the files of MNIST and Fashion-MNIST, gzipped or not."""
    for split in row["splits"]:
        images = _idx(files[f"{split}-images"], dimensions=3)
        labels = _idx(files[f"{split}-labels"], dimensions=1)
        if len(images) != len(labels):
            raise UserError(
                f"{files[f'{split}-labels']}: {len(labels)} labels for {len(images)} images"
            )
        count = row["options"].get("first", {}).get(split, len(images))
        for image, label in zip(images[:count], labels[:count], strict=True):
            yield split, int(label), Image.fromarray(image)


def _idx(path: str, dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes: big-endian magic number and sizes, then the bytes."""
    content = read_file(path)
    with errors_in_one_line(path):
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        magic, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
        if magic != 2048 + dimensions:
            raise ValueError(f"its magic number is {magic}, expected {2048 + dimensions}")
        return np.frombuffer(content, np.uint8, offset=4 * (1 + dimensions)).reshape(shape)


class ImageNetOptions(Settings):
    train_images: PositiveInt | None = Field(
        None, description="Number of training images, of which 5,000 are drawn; null: without them."
    )
    seed: Seed | None = Field(None, description="Draws them from the validation images instead.")

    @model_validator(mode="after")
    def _one_of_both(self):
        if (self.train_images is None) == (self.seed is None):
            raise ValueError("expected either `train_images` or `seed`")
        return self

    def files(self, splits: object) -> set[str]:
        return {"devkit", "validation"} | ({"train"} if self.train_images else set())


def read_imagenet(files: Files, row: Mapping) -> Items:
    """Read ImageNet (ILSVRC 2012) as control set: 5,000 images to select by, others to measure.

    The 5,000 are those of the training set that `train_val_split` holds out, as in Task
    Arithmetic's code; without the option `train_images` they are drawn from the validation images.
    """
    devkit, folder = files["devkit"], "ILSVRC2012_devkit_t12/data"
    inside = [f"{folder}/meta.mat", f"{folder}/ILSVRC2012_validation_ground_truth.txt"]
    meta, truth = read_members(devkit, inside)
    (synsets,) = matlab(meta, f"{devkit}: {inside[0]}", "synsets")
    with errors_in_one_line(f"{devkit}: {inside[0]}"):
        columns = [synsets[name] for name in ("ILSVRC2012_ID", "WNID", "num_children")]
        # Those with children are groups of classes.
        wnids = {
            int(n): str(wnid) for n, wnid, children in zip(*columns, strict=True) if not children
        }
    labels = label_numbers(wnids.values(), row, devkit)
    with errors_in_one_line(f"{devkit}: {inside[1]}"):
        classes = [labels[wnids[int(line)]] for line in lines(truth, devkit)]
    splits, count = ["test"] * len(classes), row["options"].get("train_images")
    if count is None:
        order = RandomState(row["options"]["seed"]).permutation(len(classes))
        for place in order[: row["splits"].get("val", 0)]:
            splits[place] = "val"
    else:
        yield from _held_out_training_images(files["train"], count, labels)
    names = {f"ILSVRC2012_val_{n:08}.JPEG": n - 1 for n in range(1, len(classes) + 1)}
    for member, n in listed_members(files["validation"], names, file_name):
        yield splits[n], classes[n], member, (1, classes[n], n)


def _held_out_training_images(path: str, count: int, labels: Mapping[str, int]) -> Items:
    """Read 5,000 training images from a tar file that holds one for each class."""
    ordered = sorted((wnid, image.name) for wnid, image in _training_images(path, labels))
    if len(ordered) != count:
        raise UserError(f"{path}: {len(ordered)} images, expected {count}")
    _, held_out = train_val_split(count, path)
    chosen = {ordered[place] for place in held_out.tolist()}
    for wnid, image in _training_images(path, labels):
        if (wnid, image.name) in chosen:
            yield "val", labels[wnid], image, (0, wnid, image.name)


def _training_images(path: str, labels: Mapping[str, int]) -> Iterator[tuple[str, Member]]:
    for member in members(path):
        wnid = member.name.removesuffix(".tar")
        if wnid in labels:
            with member.open() as stream:
                for image in members(f"{path}: {member.name}", stream):
                    yield wnid, image


class TinyImageNetOptions(Settings):
    recut: bool = Field(False, description="Cut the validation images in two, as SalUn's code.")


def read_tiny_imagenet(files: Files, row: Mapping) -> Items:
    """Read Tiny ImageNet of Stanford's course CS231n; its labelled validation images are `test`.

    Labels number the sorted WordNet ids. With `recut`, the first 25 validation images of each class
    make the split `val`, as in SalUn's code.
    """
    path, folder = files["images"], "tiny-imagenet-200"
    inside = [f"{folder}/wnids.txt", f"{folder}/val/val_annotations.txt"]
    wnids, annotations = read_members(path, inside)
    labels = label_numbers(lines(wnids, path), row, path)
    for member in members(path):
        *folders, name = member.name.removeprefix(f"{folder}/").split("/")
        if folders[:1] == ["train"] and folders[2:] == ["images"]:
            with errors_in_one_line(member):
                label = labels[folders[1]]
            yield "train", label, member, (0, label, name)
    listed, counts = {}, dict.fromkeys(labels.values(), 0)
    # File, WordNet id, and the corners of a box.
    rows = table(annotations, f"{path}: {inside[1]}", columns=6)
    for place, (name, wnid, *_) in enumerate(rows):
        label = labels[wnid]
        counts[label] += 1
        split = "val" if row["options"].get("recut") and counts[label] <= 25 else "test"
        listed[f"{folder}/val/images/{name}"] = split, label, place
    for member, (split, label, place) in listed_members(path, listed):
        yield split, label, member, (1, place)


SOURCES = {
    "cars": Source(read_cars, lambda *_: ("devkit", "train-images", "test-images", "test-labels")),
    "cifar10": Source(read_cifar10, images_only),
    "cifar100": Source(read_cifar100, images_only),
    "cub": Source(read_cub, images_only),
    "gtsrb": Source(read_gtsrb, lambda *_: ("train", "test", "test-labels")),
    "idx": Source(read_idx, IdxOptions.files, IdxOptions),
    "imagenet": Source(read_imagenet, ImageNetOptions.files, ImageNetOptions),
    "svhn": Source(read_svhn, lambda options, splits: splits),
    "tiny-imagenet": Source(read_tiny_imagenet, images_only, TinyImageNetOptions),
}
