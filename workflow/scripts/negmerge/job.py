"""What every script of the workflow does before and after its step."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from negmerge.errors import UserError


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Run a step: its output goes to the rule's log, and a mistake of the user's ends in one line.

    Everything that the process prints, tracebacks and messages of C libraries included, lands in
    the log file, which Snakemake shows when the job fails.

    Args:
        snakemake: the object that Snakemake gives to scripts.

    Raises:
        SystemExit: with status 1, after a `UserError`.
    """
    log = os.open(snakemake.log[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    sys.stdout.reconfigure(line_buffering=True)
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
