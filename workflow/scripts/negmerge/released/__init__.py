"""The files that the authors of NegMerge released: read without running them, and converted."""

from negmerge.released.converting import convert_files
from negmerge.released.reading import Released, read

__all__ = ["Released", "convert_files", "read"]
