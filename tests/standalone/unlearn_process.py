"""Unlearns in a process of its own, which stops itself after some blocks, if it is told so.

Usage: unlearn_process.py BLOCKS OUT SHARD_SIZE COEFFICIENT BASE POOL...
"""

import os
import signal
import sys

import negmerge
from negmerge.standalone.shards import Rounding

count, out, size, coefficient, base, *pool = sys.argv[1:]
left = int(count)
store = Rounding._store


def counted(self, block, result):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return store(self, block, result)


Rounding._store = counted
negmerge.unlearn(
    base, pool, out, coefficient=float(coefficient), max_shard_size=size, method="ties"
)
