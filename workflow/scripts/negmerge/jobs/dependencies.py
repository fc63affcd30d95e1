"""Which files of the library a script depends on.

Snakemake reruns a job when its script changes, but does not look into what the script imports. So
each rule has a checksum of these files among its params. If the files were inputs, Snakemake would
look at them for each job, which would take a third of the time to plan a large study.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path


@cache
def import_closure(file: Path, package: Path) -> tuple[Path, ...]:
    """List what a file imports, directly or through others, with each `__init__.py` on the way."""
    reached: set[Path] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting += imported(current, package)
    return tuple(sorted(path for path in reached if path.is_relative_to(package)))


def code_digest(files: Sequence[Path], package: Path) -> str:
    """Return a checksum of Python files and of all that they reach in a package."""
    digest = hashlib.sha256()
    for path in sorted({path for file in files for path in (file, *import_closure(file, package))}):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        place = path.relative_to(package).as_posix() if package in path.parents else path.name
        digest.update(f"{place} {content}\n".encode())
    return digest.hexdigest()[:16]


@cache
def imported(file: Path, package: Path) -> tuple[Path, ...]:
    """List the files of a package that one file imports itself, as `import_closure` does."""
    names = set()
    for node in _statements(ast.parse(file.read_text(), str(file)).body):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            # An imported name may be a module of its own.
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    files = []
    for head, *parts in (name.split(".") for name in names):
        for depth in range(len(parts) + 1) if head == package.name else ():
            place = package.joinpath(*parts[:depth])
            candidates = (place / "__init__.py", place.with_suffix(".py"))
            files += [path for path in candidates if path.is_file()]
    return tuple(files)


def _statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield statements and those inside them: a tenth of the nodes of a file, with all imports.

    What stands below `if TYPE_CHECKING` is never run.
    """
    for node in body:
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
            continue
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, part, ()))
