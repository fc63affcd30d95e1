"""Lines of logs from which tables of costs read numbers."""

SEEN = "{} items seen in training"
MERGED = "merged in {} s, without files in {} s"
