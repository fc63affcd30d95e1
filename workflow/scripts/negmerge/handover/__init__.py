"""Studies that are handed on: packed into an RO-Crate, unpacked in another copy of the workflow."""
