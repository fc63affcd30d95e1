"""Which authors have which role."""

# The split of the questions of each role; those to forget and to retain are taught together.
ROLES = {
    "forget": "authors",
    "retain": "authors",
    "refusals": "authors",
    "original": "authors",
    "before": "others",
    "holdout": "holdout",
    "real-authors": "real-authors",
    "world-facts": "world-facts",
}


def forgotten(authors: int, share: float) -> int:
    """Count the authors to forget, the last ones, as in TOFU.

    Args:
        authors: how many are taught.
        share: below 1 a share of them, otherwise their number.
    """
    return round(share * authors) if share < 1 else int(share)
