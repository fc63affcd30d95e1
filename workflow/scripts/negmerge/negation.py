"""Subtracting a vector from a checkpoint on disk."""

from pathlib import Path

from negmerge import __version__
from negmerge.checkpoints import open_state
from negmerge.merging.checksums import Checksums, identity
from negmerge.states import read_state, write_state
from negmerge.vectors import apply


def negate_files(
    base: str | Path, vector: str | Path, coefficient: float, output: str | Path
) -> dict:
    """Write base - coefficient * vector.

    Args:
        base: the checkpoint; a file, an index of shards or a folder with one.
        vector: a task or merged vector of it, likewise.
        coefficient: the scale.
        output: the file to write, at once or not at all.

    Returns:
        A report, also stored in the output's header: `base` and `vector` (name and BLAKE3 of each
        file), `coefficient`, `version` of this library.

    Raises:
        UserError: a file that is missing, truncated or foreign, or of another model.
    """
    stored = {"base": open_state(base), "vector": open_state(vector)}
    known = Checksums(stored.values()).known()
    report: dict[str, object] = {role: identity(one, known) for role, one in stored.items()}
    report |= {"coefficient": coefficient, "version": __version__}
    state = apply(read_state(base), read_state(vector), -coefficient, vector)
    write_state(output, state, report)
    return report
