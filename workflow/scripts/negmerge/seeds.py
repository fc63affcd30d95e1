"""Seeds of jobs."""

import hashlib


def derive_seed(seed: int, name: str) -> int:
    """Derive a job's seed from the study's seed and the job's name by a stable hash, below 2^31."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
