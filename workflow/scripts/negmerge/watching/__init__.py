"""How far a study is, read from its files while it runs, or from a copy of them."""
