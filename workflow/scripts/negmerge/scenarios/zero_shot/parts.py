"""Which part of a data set is used for what; choosing and scoring share no image."""

PARTS = {"train": "train", "select": "val", "score": "test"}


def part_of(role: str, purpose: str) -> str:
    """Return the part of a role's data set that serves a purpose.

    What methods that train read of the control set are the images that choose: no model is trained
    on them, and a control set need have no others.
    """
    return PARTS["select" if (role, purpose) == ("control", "train") else purpose]
