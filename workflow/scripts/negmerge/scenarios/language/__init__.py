"""A language model forgets what it was taught about some authors."""
