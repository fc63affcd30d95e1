"""Which tensors of a model take part in a merge."""

import difflib
import re
from collections.abc import Iterable, Sequence

from negmerge.errors import UserError

SHOWN = 8


class Choice:
    """Tensors chosen by regular expressions, which are searched in their names.

    Args:
        include: only tensors that one of these fits take part; all, if there are none.
        exclude: tensors that one of these fits do not.

    Raises:
        UserError: one is no regular expression.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()):
        self.include = [_compiled("--include", text) for text in include]
        self.exclude = [_compiled("--exclude", text) for text in exclude]

    def takes(self, name: str) -> bool:
        """Whether a tensor takes part."""
        wanted = not self.include or any(one.search(name) for one in self.include)
        return wanted and not any(one.search(name) for one in self.exclude)

    def matches(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Return what each expression fits: `--include RE` or `--exclude RE` -> names.

        Raises:
            UserError: one fits nothing; it gives the names that look most like it.
        """
        names = sorted(names)
        found = {}
        for option, ones in (("--include", self.include), ("--exclude", self.exclude)):
            for one in ones:
                fitting = [name for name in names if one.search(name)]
                if not fitting:
                    near = _nearest(one, names)
                    raise UserError(f"{option} {one.pattern!r} matches no tensor; {near}")
                found[f"{option} {one.pattern}"] = fitting
        return found


def listed(names: Sequence[str]) -> str:
    """Return names for a line, the first of many."""
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown}, ... ({len(names)} in all)"


def excluding(names: Iterable[str]) -> str:
    """Return the option that leaves out tensors, by the modules in which they lie."""
    modules = sorted({name.rpartition(".")[0] or f"{name}$" for name in names})
    escaped = [re.escape(module).replace(r"\$", "$") for module in modules]
    pattern = escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
    ends = "" if pattern.endswith("$") else r"\."
    return f"--exclude '^{pattern}{ends}'"


def _compiled(option: str, text: str) -> re.Pattern:
    try:
        return re.compile(text)
    except re.error as error:
        raise UserError(f"{option} {text!r} is not a regular expression: {error}") from error


def _nearest(pattern: re.Pattern, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(pattern.pattern, names, n=3, cutoff=0)
    return f"the nearest names: {', '.join(close) or 'none'}"
