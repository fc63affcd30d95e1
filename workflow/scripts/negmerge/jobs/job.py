"""What every script of the workflow does before and after its step."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from negmerge.errors import UserError
from negmerge.files import UNWRITABLE, unwritable
from negmerge.jobs.advice import advice
from negmerge.jobs.provenance import Provenance


@contextmanager
def job(snakemake: Any) -> Iterator[Provenance]:
    """Run a step: its output goes to the rule's log, and a mistake of the user's ends in one line.

    Everything that the process prints, tracebacks and messages of C libraries included, lands in
    the log file, which Snakemake shows when the job fails. Before the step, its inputs are compared
    with the records of how they were made; after it, the record of each output is written.

    Args:
        snakemake: the object that Snakemake gives to scripts.

    Yields:
        What the job is made of.

    Raises:
        SystemExit: with status 1, after a `UserError`, a file that the system does not let it read
            or write, or what `advice` knows.
    """
    terminal = os.dup(sys.stderr.fileno())
    log = snakemake.log[0]
    try:
        _print_into(log)
        provenance = Provenance(snakemake)
        provenance.begin()
        yield provenance
        provenance.write()
    except UserError as error:
        _fail(str(error), terminal)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        # Without a name it was the log: it is written to without being named.
        _fail(str(unwritable(error.filename or log, error.errno)), terminal)
    except Exception as error:
        experiment = snakemake.wildcards.get("experiment", "")
        line = advice(error, snakemake.rule, experiment, snakemake.params)
        if line is None:
            raise
        _fail(line, terminal)
    finally:
        os.close(terminal)


def _print_into(log: str) -> None:
    """Let all that the process prints go to a file, which begins anew."""
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(stream, sys.stdout.fileno())
    os.dup2(stream, sys.stderr.fileno())
    os.close(stream)
    sys.stdout.reconfigure(line_buffering=True)


def _fail(line: str, terminal: int) -> NoReturn:
    """End the job with one line in its log, or on the terminal if the disk is full."""
    text = f"error: {line}\n".encode()
    try:
        sys.stdout.flush()
        os.write(sys.stderr.fileno(), text)
    except OSError:
        os.write(terminal, text)
    sys.exit(1)
