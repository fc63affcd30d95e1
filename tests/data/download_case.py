"""The file that the tests of downloads fetch."""

import hashlib

import numpy as np

from negmerge.settings.datasets import Download

CONTENT = np.random.default_rng(0).bytes(300_000)
WRONG = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
QUICK = {"pauses": (0, 0.01, 0.02), "timeout": 0.5, "every": 0.05}


def sums(content):
    return {kind: hashlib.new(kind, content).hexdigest() for kind in ("sha256", "md5")}


def described(*urls, content=CONTENT, **changes):
    settings = {"urls": list(urls), "bytes": len(content), **sums(content)} | changes
    return Download(name="file.zip", **settings).model_dump()
