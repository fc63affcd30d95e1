"""ImageNet (ILSVRC 2012) as control set: 5,000 images to select by, the others to measure.

The 5,000 are those of the training set that `negmerge.data.train_val_split` holds out, as in Task
Arithmetic's code, where items are sorted by WordNet id and file name. Without the option
`train_images` they are drawn from the 50,000 validation images, which then are fewer to measure on.
"""

from collections.abc import Iterator, Mapping

from numpy.random import RandomState

from negmerge.data import train_val_split
from negmerge.data.archives import Member, file_name, listed_members, members, read_members
from negmerge.data.matlab import field, read_variables
from negmerge.data.tables import label_numbers, table, whole_number
from negmerge.errors import UserError

FOLDER = "ILSVRC2012_devkit_t12/data"
META, TRUTH = f"{FOLDER}/meta.mat", f"{FOLDER}/ILSVRC2012_validation_ground_truth.txt"


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read `validation` and, where the option `train_images` counts them, 5,000 of `train`."""
    meta, truth = read_members(files["devkit"], [META, TRUTH])
    wnids = read_wnids(meta, f"{files['devkit']}: {META}")
    labels = label_numbers(wnids.values(), row, files["devkit"])
    classes = [labels[wnid] for wnid in read_truth(truth, wnids, f"{files['devkit']}: {TRUTH}")]
    count = row["options"].get("train_images")
    if count is None:
        splits = drawn(len(classes), row["splits"].get("val", 0), row["options"]["seed"])
    else:
        splits = ["test"] * len(classes)
        yield from _read_train(files["train"], count, labels)
    names = {f"ILSVRC2012_val_{n:08}.JPEG": n - 1 for n in range(1, len(classes) + 1)}
    for member, n in listed_members(files["validation"], names, file_name):
        yield splits[n], classes[n], member, (1, classes[n], n)


def read_wnids(content: bytes, where: str) -> dict[int, str]:
    """Read the WordNet id of each class, by its number in the development kit."""
    (records,) = read_variables(content, ["synsets"], where)
    numbers, wnids, children = (
        field(records, name, kind, where)
        for name, kind in (("ILSVRC2012_ID", int), ("WNID", str), ("num_children", int))
    )
    # Those with children are groups of classes.
    found = zip(numbers, wnids, children, strict=True)
    return {number: wnid for number, wnid, count in found if count == 0}


def read_truth(content: bytes, wnids: Mapping[int, str], where: str) -> list[str]:
    """Read the WordNet id of each validation image, in their order."""
    found = []
    for line, (text,) in enumerate(table(content, where, 1), 1):
        number = whole_number(text, f"{where}: line {line}")
        if number not in wnids:
            raise UserError(f"{where}: line {line}: no class has the number {number}")
        found.append(wnids[number])
    return found


def drawn(n: int, held_out: int, seed: int) -> list[str]:
    """Draw the splits of n images: some to `val`, the others to `test`."""
    splits = ["test"] * n
    for place in RandomState(seed).permutation(n)[:held_out]:
        splits[place] = "val"
    return splits


def _read_train(
    path: str, count: int, labels: Mapping[str, int]
) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read the held out training images from a tar file that holds one for each class."""
    names = {}
    for wnid, images in _classes(path, count, labels):
        names[wnid] = sorted(image.name for image in images)
    ordered = [(wnid, name) for wnid in sorted(names) for name in names[wnid]]
    if len(ordered) != count:
        raise UserError(f"{path}: {len(ordered)} images, expected {count}")
    _, held_out = train_val_split(count, path)
    chosen = {ordered[place] for place in held_out.tolist()}
    for wnid, images in _classes(path, count, labels):
        for image in images:
            if (wnid, image.name) in chosen:
                yield "val", labels[wnid], image, (0, wnid, image.name)


def _classes(
    path: str, count: int, labels: Mapping[str, int]
) -> Iterator[tuple[str, Iterator[Member]]]:
    """Yield the WordNet id and the images of each inner archive of a class."""
    for member in members(path):
        wnid = member.name.removesuffix(".tar")
        if wnid in labels:
            with member.open() as stream:
                yield wnid, members(f"{path}: {member.name}", stream)
