"""Which part of a data set is used for what; choosing and scoring share no image."""

PARTS = {"train": "train", "select": "val", "score": "test"}


def part_of(role: str, purpose: str) -> str:
    """Return the part of a role's data set; methods that train read control images that choose."""
    return PARTS["select" if (role, purpose) == ("control", "train") else purpose]
