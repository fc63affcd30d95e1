"""Where a page holds what a benchmark has measured: between two marks with the benchmark's name."""

from pathlib import Path

from negmerge.reporting import runtime

ROOT = Path(__file__).parents[1]
MEASUREMENTS = ROOT / "docs" / "dev" / "measurements.md"
FIGURES = ROOT / "docs" / "figures"


def marks(name: str) -> tuple[str, str]:
    """Return the marks before and behind the text of a benchmark."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def read_between(page: Path, name: str) -> str:
    """Return the text between the marks of a page."""
    begin, end = marks(name)
    return page.read_text().partition(begin)[2].partition(end)[0].strip("\n")


def write_between(page: Path, name: str, text: str) -> None:
    """Put a text between the marks of a page, in place of what stands there."""
    begin, end = marks(name)
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def machine() -> str:
    """Describe the machine in one line: processor, cores, Python."""
    found = dict(runtime.machine())
    return f"{found['Processor']}, {found['Processors']} cores, Python {found['Python']}"


def machine_of(record: dict) -> str:
    """Describe the machine on which a record was made."""
    return f"Machine: {record.get('machine') or 'not noted'}."
