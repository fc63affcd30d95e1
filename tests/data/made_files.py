"""Building blocks of small data sets: images, archives, tables, MATLAB files, and their rows."""

import hashlib
import io
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from PIL import Image
from scipy.io import savemat


@dataclass
class Made:
    """Content by the row's names for its files, changes of the row, and what must come out.

    `expected`: for each split, (label, image) in order: bytes as stored, or pixels (RGB).
    """

    files: dict[str, bytes]
    classes: int
    expected: dict[str, list]
    options: dict = field(default_factory=dict)


def picture(number, kind="JPEG"):
    colour = (number % 256, number // 256 * 40 + 20, 200)
    stream = io.BytesIO()
    Image.new("RGB", (9 + number % 3, 8), colour).save(stream, kind)
    return stream.getvalue()


def shuffled(members):
    """Archives hold their members in an order that is not that of the data set."""
    names = list(members)
    np.random.default_rng(1).shuffle(names)
    return {name: members[name] for name in names}


def tar(members, mode="w:gz"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        folders = {str(f) for name in members for f in PurePosixPath(name).parents} - {"."}
        for folder in sorted(folders):
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
        for name, content in shuffled(members).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in shuffled(members).items():
            archive.writestr(name, content)
    return stream.getvalue()


def unpacked(content):
    """Return the members of an archive that `tar` or `zipped` made."""
    stream = io.BytesIO(content)
    if content[:2] == b"PK":
        with zipfile.ZipFile(stream) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=stream) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}


def repacked(content, **changes):
    """Make an archive of the same kind with other members; None leaves one out."""
    members = {n: new for n, new in (unpacked(content) | changes).items() if new is not None}
    if content[:2] == b"PK":
        return zipped(members)
    return tar(members, "w:gz" if content[:2] == b"\x1f\x8b" else "w")


def mat(**variables):
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=True)
    return stream.getvalue()


def records(**columns):
    count = len(next(iter(columns.values())))
    table = np.zeros((1, count), [(name, object) for name in columns])
    for name, values in columns.items():
        for place, value in enumerate(values):
            table[name][0, place] = value
    return table


def lines(*texts, end="\n"):
    return "".join(f"{text}{end}" for text in texts).encode()


def small(row, made, server=None):
    """The row of a real set with the sizes of a made one, and addresses of the test's server."""
    files = {}
    for name, content in made.files.items():
        file = dict(row["files"][name])
        sums = {kind: hashlib.new(kind, content).hexdigest() for kind in ("sha256", "md5")}
        # What is not known of the real file is not known here either.
        file |= {kind: value for kind, value in sums.items() if file[kind]}
        file |= {"bytes": file["bytes"] and len(content), "manual": None}
        if server:
            server.files[file["name"]] = content
            file["urls"] = [server.url(file["name"])]
        files[name] = file
    assert files.keys() == row["files"].keys()
    splits = {split: len(made.expected[split]) for split in row["splits"]}
    options = row["options"] | made.options
    return row | {"files": files, "splits": splits, "classes": made.classes, "options": options}


def written(files, folder):
    """Write files into a folder, and return their paths."""
    paths = {name: str(folder / name) for name in files}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return paths
