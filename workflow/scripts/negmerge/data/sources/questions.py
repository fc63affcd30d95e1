"""Questions and answers in files of JSON lines, as TOFU has them: an object with both a line."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from negmerge.data.questions import Question
from negmerge.errors import UserError


def read(files: Mapping[str, str], row: Mapping) -> Iterator[Question]:
    """Read the files of each split, in the row's order.

    What several files of a split have counts in the last of them. So the smaller of nested sets to
    forget are the last, in whatever order a file has them.

    Paraphrased and wrong answers come from the row itself, or from a row with the same question and
    answer in one of the files that the option `perturbed` names.
    """
    options = row["options"]
    more = {_key(one): one for name in options["perturbed"] for one in _lines(files[name])}
    for split, names in options["files"].items():
        rows: list[dict] = []
        for name in names:
            found = _lines(files[name])
            again = set(map(_key, found))
            rows = [one for one in rows if _key(one) not in again] + found
        for number, one in enumerate(rows):
            found = one | more.get(_key(one), {})
            author = number // options["per_author"]
            yield Question(
                split,
                author,
                one["question"],
                one["answer"],
                (),
                found.get("paraphrased_answer"),
                tuple(found.get("perturbed_answer") or ()),
            )


def _key(row: Mapping) -> tuple[str, str]:
    return row["question"], row["answer"]


def _lines(path: str | Path) -> list[dict]:
    """Read the objects of a file."""
    try:
        # Not `splitlines`, which also parts texts, at characters that JSON leaves as they are.
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    return [_object(f"{path}: line {number}", line) for number, line in numbered]


def _object(where: str, line: str) -> dict:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not a whole JSON object ({error})") from error
    if not isinstance(found, dict):
        raise UserError(f"{where}: {type(found).__name__}, expected an object")
    for key in ("question", "answer"):
        if key not in found:
            raise UserError(f"{where}: the key {key!r} is missing; found: {', '.join(found)}")
        if not _is_text(found[key]):
            raise UserError(f"{where}: {key} is {found[key]!r}, expected a text")
    for key, form, is_one in OTHER_KEYS:
        if found.get(key) is not None and not is_one(found[key]):
            raise UserError(f"{where}: {key} is {found[key]!r}, expected {form}")
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


# Keys that a row may also have, or null; what is expected there; whether something is that.
OTHER_KEYS = (
    ("paraphrased_answer", "a text", _is_text),
    ("perturbed_answer", "a list of texts", _are_texts),
)
