"""Where a page holds what a benchmark has measured: between two marks with the benchmark's name."""

from pathlib import Path


def marks(name: str) -> tuple[str, str]:
    """Return the marks before and behind the text of a benchmark."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def write_between(page: Path, name: str, text: str) -> None:
    """Put a text between the marks of a page, in place of what stands there."""
    begin, end = marks(name)
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")
