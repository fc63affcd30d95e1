"""Seeds of jobs, and experiments that repeat another one with another seed."""

import hashlib
import re

# How the name of an experiment ends that repeats another one with its second, third, ... seed.
REPETITION = re.compile(r"\.seed(\d+)$")


def derive_seed(seed: int, name: str) -> int:
    """Derive a job's seed from the study's seed and the job's name by a stable hash, below 2^31."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def repetition(experiment: str, number: int) -> str:
    """Name what repeats an experiment."""
    return f"{experiment}.seed{number}"


def first_of(experiment: str) -> str:
    """Return the experiment that this one repeats, or itself."""
    return REPETITION.sub("", experiment)


def seed_number(experiment: str) -> int:
    """Count which repetition an experiment is, from 1."""
    ending = REPETITION.search(experiment)
    return int(ending[1]) if ending else 1
