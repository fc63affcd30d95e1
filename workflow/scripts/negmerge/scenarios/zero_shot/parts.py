"""Which part of a data set is used for what; choosing and scoring share no image."""

PARTS = {"train": "train", "select": "val", "score": "test"}
