"""Cut the first images out of the IDX files of Fashion-MNIST.

    python make_subset.py FOLDER

FOLDER holds the four files as published by github.com/zalandoresearch/fashion-mnist. The originals
are shuffled, so the first images are a random sample.
"""

import gzip
import struct
import sys
from pathlib import Path

COUNTS = {"train": 8000, "t10k": 4000}


def cut(path: Path, output: Path, count: int) -> None:
    """Write the first `count` items of an IDX file, with the count in its header mended."""
    data = gzip.decompress(path.read_bytes())
    magic, _ = struct.unpack(">ii", data[:8])
    sides = data[8:16] if magic == 2051 else b""
    item = 28 * 28 if magic == 2051 else 1
    header = struct.pack(">ii", magic, count) + sides
    body = data[len(header) : len(header) + count * item]
    output.write_bytes(gzip.compress(header + body, 9, mtime=0))


for name, count in COUNTS.items():
    for kind in ("images-idx3", "labels-idx1"):
        file = f"{name}-{kind}-ubyte.gz"
        cut(Path(sys.argv[1]) / file, Path(__file__).parent / file, count)
