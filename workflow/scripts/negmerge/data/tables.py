"""Text files beside images: lists and tables, whose mistakes are named by their line."""

from negmerge.errors import UserError


def lines(content: bytes, where: str) -> list[str]:
    """Return the lines of a text file that are not empty."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not a text file ({error})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def table(
    content: bytes, where: str, columns: int | None = None, separator: str | None = None
) -> list[list[str]]:
    """Read a table, line by line."""
    found = [line.split(separator) for line in lines(content, where)]
    if not found:
        raise UserError(f"{where}: the table is empty")
    columns = columns or len(found[0])
    for number, cells in enumerate(found, 1):
        if len(cells) != columns:
            raise UserError(f"{where}: line {number} has {len(cells)} columns, expected {columns}")
    return found


def whole_number(text: str, where: str) -> int:
    """Read a number of digits only."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UserError(f"{where}: {text!r:.40} is not a whole number")
    return int(text)
