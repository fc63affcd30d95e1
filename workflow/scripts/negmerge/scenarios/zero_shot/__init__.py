"""A CLIP model forgets a data set."""
