"""States on disk, read without holding them in memory."""

from negmerge.checkpoints.hub import locate
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.safetensors_file import StateFile
from negmerge.checkpoints.stored import StoredState

__all__ = ["StateFile", "StoredState", "locate", "open_state"]
