"""The files of mirrors, in the layouts of the real ones, made of the small original sets."""

import gzip
import io
import json
import tarfile
from pathlib import PurePosixPath

import numpy as np
import pyarrow
from made_files import lines, tar, unpacked
from PIL import Image
from pyarrow import parquet


def _within(folder, *archives):
    """Return the members of archives, below a folder."""
    members = [member for content in archives for member in unpacked(content).items()]
    return {f"{folder}/{name}": content for name, content in members}


def _cars(made):
    archives = [made.files[key] for key in ("devkit", "train-images", "test-images")]
    labels = {"stanford_cars/cars_test_annos_withlabels.mat": made.files["test-labels"]}
    return {"images": tar(_within("stanford_cars", *archives) | labels, "w")}


def _sun397(made):
    images, members = unpacked(made.files["images"]), {}
    lists = unpacked(made.files["lists"])
    for name, folder in {"Training_01.txt": "train", "Testing_01.txt": "val"}.items():
        for line in lists[name].decode().split():
            *classes, file = line.strip("/").split("/")
            members[f"sun397/{folder}/{'_'.join(classes)}/{file}"] = images[f"SUN397{line}"]
    return {"images": tar(members, "w")}


def _resisc45(made):
    lists = {
        f"resisc45/resisc45-{split}.txt": made.files[f"{split}-list"] for split in made.expected
    }
    return {"images": tar(_within("resisc45", made.files["images"]) | lists, "w")}


def _eurosat(made):
    """Cut as the original is here, so that the two can be compared."""
    members = {}
    names = {image: PurePosixPath(name) for name, image in unpacked(made.files["images"]).items()}
    for split, items in made.expected.items():
        for _, image in items:
            path = names[image]
            members[f"EuroSAT_splits/{split}/{path.parent.name}/{path.name}"] = image
    return {"images": tar(members, "w")}


def _gtsrb(made):
    return {"images": tar(_within("gtsrb", *made.files.values()), "w")}


def _dtd(made):
    content, members = unpacked(made.files["images"]), {}
    for part, folder in {"train1": "train", "val1": "train", "test1": "val"}.items():
        for line in content[f"dtd/labels/{part}.txt"].decode().split():
            members[f"dtd/{folder}/{line}"] = content[f"dtd/images/{line}"]
    return {"images": tar(members, "w")}


def _svhn(made):
    members = {f"svhn/{split}_32x32.mat": content for split, content in made.files.items()}
    return {"images": tar(members, "w")}


def _mnist(made):
    names = {"train": "train", "test": "t10k"}
    members = {
        f"MNIST/raw/{names[split]}-{what}-idx{sizes}-ubyte": gzip.decompress(
            made.files[f"{split}-{what}"]
        )
        for split in names
        for what, sizes in {"images": 3, "labels": 1}.items()
    }
    return {"images": tar(members, "w")}


ARCHIVES = {
    "sun397": _sun397,
    "cars": _cars,
    "resisc45": _resisc45,
    "eurosat": _eurosat,
    "svhn": _svhn,
    "gtsrb": _gtsrb,
    "dtd": _dtd,
    "mnist": _mnist,
}


def file_names(made):
    """Return the name of each image file in the archives of a set."""
    archives = [content for key, content in made.files.items() if key.endswith("images")]
    names = {image: name for content in archives for name, image in unpacked(content).items()}
    return {image: name.rpartition("/")[2] for image, name in names.items()}


def as_parquet(items, class_names, named):
    """Write items with shuffled rows and class numbers; `named` gives the files' names."""
    random = np.random.default_rng(0)
    numbers = random.permutation(len(class_names)).tolist()
    rows = [items[place] for place in random.permutation(len(items))]
    content = {
        "image": [{"bytes": image, "path": named.get(image)} for _, image in rows],
        "label": [numbers.index(label) for label, _ in rows],
    }
    feature = {"names": [class_names[number] for number in numbers], "_type": "ClassLabel"}
    noted = {"info": {"features": {"label": feature}}}
    table = pyarrow.table(content).replace_schema_metadata({"huggingface": json.dumps(noted)})
    stream = io.BytesIO()
    parquet.write_table(table, stream, row_group_size=3)
    return stream.getvalue()


def parquets(mirror, made, class_names):
    """Write the files of a mirror, the items of each split cut evenly into its shards."""
    files = {}
    for split, keys in mirror["options"]["files"].items():
        shards = np.array_split(np.arange(len(made.expected[split])), len(keys))
        for key, places in zip(keys, shards, strict=True):
            items = [made.expected[split][place] for place in places]
            files[key] = as_parquet(items, class_names, file_names(made))
    return files


def sample(key, label, image):
    """Return the files of a sample, of which the image loses nothing."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "webp", lossless=True)
    return {f"{key}.cls": str(label).encode(), f"{key}.webp": stream.getvalue()}


def shards(mirror, made, numbers):
    """Write the shards of a mirror, whose class `label` is the original's `numbers[label]`."""
    files = {"class-names": lines(*numbers)}
    for split, keys in mirror["options"]["files"].items():
        places = np.array_split(np.arange(len(made.expected[split])), len(keys))
        for key, some in zip(keys, places, strict=True):
            samples = {}
            for place in some:
                label, image = made.expected[split][place]
                samples |= sample(f"s{place:07}", numbers.index(label), image)
            files[key] = in_order(samples)
    return files


def in_order(members):
    """Write a tar archive of files in this order, in which a sample's stand side by side."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 0.5
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()
