"""Data sets in files of their authors' own form, by the names of the sets."""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt, model_validator

from negmerge.data import train_val_split
from negmerge.data.archives import (
    Member,
    file_name,
    label_numbers,
    lines,
    listed_members,
    members,
    read_file,
    read_members,
    table,
    whole_number,
)
from negmerge.data.sources import Files, Options, Seed, Source, Split, images_only
from negmerge.errors import UserError, one_line

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

Pixels = Iterator[tuple[str, int, "Image"]]
Records = Iterator[tuple[str, int, "Image", tuple]]
Members = Iterator[tuple[str, int, Member, tuple]]


def read_cars(files: Files, row: Mapping) -> Members:
    """Stanford Cars (Krause et al., 2013) in the order of its annotations, which count from 1."""
    annotations = "devkit/cars_train_annos.mat"
    (of_train,) = read_members(files["devkit"], [annotations])
    contents = {
        "train": (of_train, f"{files['devkit']}: {annotations}"),
        "test": (read_file(files["test-labels"]), files["test-labels"]),
    }
    for number, (split, (content, where)) in enumerate(contents.items()):
        rows = _matlab_records(content, "annotations", {"fname": str, "class": int}, where)
        listed = {name: (label - 1, place) for place, (name, label) in enumerate(rows)}
        images = listed_members(files[f"{split}-images"], listed, file_name)
        for member, (label, place) in images:
            yield split, label, member, (number, place)


def _matlab_records(
    content: bytes, variable: str, fields: Mapping[str, type], where: str
) -> list[tuple]:
    """Read some fields of all records of a struct array in a MATLAB file."""
    import numpy as np

    (records,) = _matlab_variables(content, [variable], where)
    return [
        tuple(kind(record[name]) for name, kind in fields.items())
        for record in np.atleast_1d(records)
    ]


def _matlab_variables(content: bytes, names: list[str], where: str) -> list:
    """Read variables of a MATLAB file of version 5; dimensions of length 1 are dropped."""
    from scipy.io import loadmat

    try:
        variables = loadmat(io.BytesIO(content), squeeze_me=True, variable_names=names)
        return [variables[name] for name in names]
    # What SciPy raises depends on where a broken file breaks.
    except Exception as error:
        raise UserError(
            f"{where}: not a whole MATLAB file with {', '.join(names)} ({one_line(error):.200})"
        ) from error


def read_svhn(files: Files, row: Mapping) -> Pixels:
    """Street View House Numbers (Netzer et al., 2011), a file for each split."""
    import numpy as np
    from PIL import Image

    for split in row["splits"]:
        content = read_file(files[split])
        pixels, labels = _matlab_variables(content, ["X", "y"], files[split])
        labels = np.asarray(labels).ravel().astype(np.int64)
        if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, labels.size):
            raise UserError(
                f"{files[split]}: X is {pixels.dtype} {pixels.shape}, expected uint8 (32, 32, 3, "
                f"{labels.size})"
            )
        for place, label in enumerate(labels.tolist()):
            # The files label the digit 0 as 10.
            yield split, 0 if label == 10 else label, Image.fromarray(pixels[..., place])


CIFAR10 = {f"cifar-10-batches-bin/data_batch_{number}.bin": "train" for number in range(1, 6)}
CIFAR10["cifar-10-batches-bin/test_batch.bin"] = "test"
CIFAR100 = {"cifar-100-binary/train.bin": "train", "cifar-100-binary/test.bin": "test"}
FINE_NAMES = "cifar-100-binary/fine_label_names.txt"


def read_cifar10(files: Files, row: Mapping) -> Records:
    """CIFAR-10 (Krizhevsky, 2009), in its binary version, which needs no unpickling."""
    yield from _cifar_batches(files["images"], CIFAR10, labels=1)


def read_cifar100(files: Files, row: Mapping) -> Records:
    """CIFAR-100, likewise: the number of a coarse class stands before that of the fine one."""
    (content,) = read_members(files["images"], [FINE_NAMES])
    names = lines(content, f"{files['images']}: {FINE_NAMES}")
    if len(names) != row["classes"] or names != sorted(names):
        raise UserError(
            f"{files['images']}: {FINE_NAMES}: {len(names)} names, expected the {row['classes']} "
            "fine classes in the order of the alphabet, as prompts.yaml has them"
        )
    yield from _cifar_batches(files["images"], CIFAR100, labels=2)


def _cifar_batches(archive: str, batches: Mapping[str, str], labels: int) -> Records:
    """Read records: some labels, of which the last counts, then 1,024 values of each colour."""
    import numpy as np
    from PIL import Image

    length = labels + 3 * 32 * 32
    for member, place in listed_members(archive, {name: n for n, name in enumerate(batches)}):
        content = member.read()
        if len(content) % length:
            raise UserError(f"{member}: {len(content)} bytes, expected a multiple of {length}")
        for number, record in enumerate(np.frombuffer(content, np.uint8).reshape(-1, length)):
            pixels = record[labels:].reshape(3, 32, 32).transpose(1, 2, 0).copy()
            image = Image.fromarray(pixels)
            yield batches[member.name], int(record[labels - 1]), image, (place, number)


CUB = "CUB_200_2011"
CUB_LISTS = [f"{CUB}/{name}.txt" for name in ("images", "image_class_labels", "train_test_split")]


def read_cub(files: Files, row: Mapping) -> Members:
    """Caltech-UCSD Birds-200-2011 (Wah et al., 2011) in the order of the images' ids."""
    path = files["images"]
    names, labels, splits = (
        dict(table(content, f"{path}: {name}", 2))
        for name, content in zip(CUB_LISTS, read_members(path, CUB_LISTS), strict=True)
    )
    listed = {f"{CUB}/images/{name}": number for number, name in names.items()}
    for member, number in listed_members(path, listed):
        split = {"1": "train", "0": "test"}[splits[number]]
        yield split, int(labels[number]) - 1, member, (int(number),)


GTSRB_LABELS = "GT-final_test.csv"


def read_gtsrb(files: Files, row: Mapping) -> Members:
    """German Traffic Sign Recognition Benchmark, as the IJCNN competition of 2011 had it.

    Its training set ("Training_fixed") has 26,640 images, not the 39,209 of the final one: they
    come by class folder and file name, test images in the order of their table.
    """
    for member in members(files["train"]):
        path = PurePosixPath(member.name)
        if path.suffix == ".ppm":
            label = whole_number(path.parent.name, f"{member}: its folder")
            yield "train", label, member, (0, label, path.name)
    (content,) = read_members(files["test-labels"], [GTSRB_LABELS])
    where = f"{files['test-labels']}: {GTSRB_LABELS}"
    header, *rows = table(content, where, 8, ";")
    name, label = header.index("Filename"), header.index("ClassId")
    labels = {
        cells[name]: (place, whole_number(cells[label], f"{where}: line {place + 2}"))
        for place, cells in enumerate(rows)
    }
    for member, (place, number) in listed_members(files["test"], labels, file_name):
        yield "test", number, member, (1, place)


class IdxOptions(Options):
    first: dict[Split, PositiveInt] = Field(
        {}, description="How many images of a split are taken; others are taken whole."
    )


def read_idx(files: Files, row: Mapping) -> Pixels:
    """MNIST and Fashion-MNIST: `{split}-images` and `{split}-labels` of each split of the row."""
    from PIL import Image

    first = row["options"].get("first", {})
    for split in row["splits"]:
        images, labels = _idx(files[f"{split}-images"], 3), _idx(files[f"{split}-labels"], 1)
        if len(images) != len(labels):
            raise UserError(
                f"{files[f'{split}-labels']}: {len(labels)} labels for {len(images)} images"
            )
        count = first.get(split, len(images))
        for image, label in zip(images[:count], labels[:count], strict=True):
            yield split, int(label), Image.fromarray(image)


def _idx(path: str, dimensions: int) -> "np.ndarray":
    """Read an IDX file of bytes, gzipped or not: magic number and sizes (big-endian), bytes."""
    import numpy as np

    content = read_file(path)
    try:
        if not content.startswith(bytes(2)):
            content = gzip.decompress(content)
        magic, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
        if magic != 0x800 + dimensions:
            raise ValueError(f"magic number {magic}, expected {0x800 + dimensions}")
        return np.frombuffer(content, np.uint8, offset=4 * (1 + dimensions)).reshape(shape)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise UserError(f"{path}: not a whole IDX file ({one_line(error)})") from error


class ImageNetOptions(Options):
    train_images: PositiveInt | None = Field(
        None, description="Number of training images, of which 5,000 are drawn; null: without them."
    )
    seed: Seed | None = Field(None, description="Draws them from the validation images instead.")

    @model_validator(mode="after")
    def _one_of_both(self):
        if (self.train_images is None) == (self.seed is None):
            raise ValueError("expected either `train_images` or `seed`")
        return self


IMAGENET = "ILSVRC2012_devkit_t12/data"
META, TRUTH = f"{IMAGENET}/meta.mat", f"{IMAGENET}/ILSVRC2012_validation_ground_truth.txt"


def read_imagenet(files: Files, row: Mapping) -> Members:
    """ImageNet (ILSVRC 2012) as control set: 5,000 images to select by, the others to measure.

    The 5,000 are those of the training set that `train_val_split` holds out, as in Task
    Arithmetic's code, where items are sorted by WordNet id and file name. Without `train_images`
    they are drawn from the 50,000 validation images, which then are fewer to measure on.
    """
    from numpy.random import RandomState

    devkit = files["devkit"]
    meta, truth = read_members(devkit, [META, TRUTH])
    fields = {"ILSVRC2012_ID": int, "WNID": str, "num_children": int}
    synsets = _matlab_records(meta, "synsets", fields, f"{devkit}: {META}")
    # Those with children are groups of classes.
    wnids = {number: wnid for number, wnid, children in synsets if children == 0}
    labels = label_numbers(wnids.values(), row, devkit)
    classes = [labels[wnids[int(number)]] for number in lines(truth, f"{devkit}: {TRUTH}")]
    splits = ["test"] * len(classes)
    count = row["options"].get("train_images")
    if count is None:
        order = RandomState(row["options"]["seed"]).permutation(len(classes))
        for place in order[: row["splits"].get("val", 0)]:
            splits[place] = "val"
    else:
        yield from _imagenet_train(files["train"], count, labels)
    names = {f"ILSVRC2012_val_{n + 1:08}.JPEG": n for n in range(len(classes))}
    for member, n in listed_members(files["validation"], names, file_name):
        yield splits[n], classes[n], member, (1, classes[n], n)


def _imagenet_train(path: str, count: int, labels: Mapping[str, int]) -> Members:
    """Read the held out training images from a tar file that holds one for each class."""
    names = {wnid: sorted(image.name for image in images) for wnid, images in _inner(path, labels)}
    ordered = [(wnid, name) for wnid in sorted(names) for name in names[wnid]]
    if len(ordered) != count:
        raise UserError(f"{path}: {len(ordered)} images, expected {count}")
    _, held_out = train_val_split(count, path)
    chosen = {ordered[place] for place in held_out.tolist()}
    for wnid, images in _inner(path, labels):
        for image in images:
            if (wnid, image.name) in chosen:
                yield "val", labels[wnid], image, (0, wnid, image.name)


def _inner(path: str, labels: Mapping[str, int]) -> Iterator[tuple[str, Iterator[Member]]]:
    """Yield the WordNet id and the images of each inner archive of a class."""
    for member in members(path):
        wnid = member.name.removesuffix(".tar")
        if wnid in labels:
            with member.open() as stream:
                yield wnid, members(f"{path}: {member.name}", stream)


class TinyImageNetOptions(Options):
    recut: bool = Field(False, description="Cut the validation images in two, as SalUn's code.")


TINY = "tiny-imagenet-200"
WNIDS, ANNOTATIONS = f"{TINY}/wnids.txt", f"{TINY}/val/val_annotations.txt"


def read_tiny_imagenet(files: Files, row: Mapping) -> Members:
    """Tiny ImageNet of Stanford's course CS231n; its labelled validation images are test images.

    Labels number the sorted WordNet ids, as for ImageNet; `wnids.txt` has another order. Training
    images come by class and file name, the others in the order of their list. With `recut`, the
    first 25 of each class there are the split `val`, and the others `test`, as SalUn's code has it
    (OPTML-Group/Unlearn-Saliency).
    """
    path = files["images"]
    wnids, annotations = read_members(path, [WNIDS, ANNOTATIONS])
    labels = label_numbers(lines(wnids, f"{path}: {WNIDS}"), row, path)
    first = 25 if row["options"].get("recut") else 0
    seen, listed = dict.fromkeys(labels.values(), 0), {}
    # The columns are file, WordNet id, and the corners of a box.
    for place, (name, wnid, *_) in enumerate(table(annotations, f"{path}: {ANNOTATIONS}", 6)):
        label = labels[wnid]
        seen[label] += 1
        split = "val" if seen[label] <= first else "test"
        listed[f"{TINY}/val/images/{name}"] = (split, label, place)
    for member in members(path):
        *folders, name = member.name.removeprefix(f"{TINY}/").split("/")
        if folders[:1] == ["train"] and folders[2:] == ["images"]:
            label = labels[folders[1]]
            yield "train", label, member, (0, label, name)
    for member, (split, label, place) in listed_members(path, listed):
        yield split, label, member, (1, place)


SOURCES = {
    "cars": Source(read_cars, lambda *_: ("devkit", "train-images", "test-images", "test-labels")),
    "cifar10": Source(read_cifar10, images_only),
    "cifar100": Source(read_cifar100, images_only),
    "cub": Source(read_cub, images_only),
    "gtsrb": Source(read_gtsrb, lambda *_: ("train", "test", "test-labels")),
    "idx": Source(
        read_idx,
        lambda _, splits: [f"{split}-{part}" for split in splits for part in ("images", "labels")],
        IdxOptions,
    ),
    "imagenet": Source(
        read_imagenet,
        lambda options, _: ["devkit", "validation", *["train"] * bool(options.train_images)],
        ImageNetOptions,
    ),
    "svhn": Source(read_svhn, lambda _, splits: splits),
    "tiny-imagenet": Source(read_tiny_imagenet, images_only, TinyImageNetOptions),
}
