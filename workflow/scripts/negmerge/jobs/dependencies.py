"""Which files of the library a script depends on.

Snakemake reruns a job when its script changes, but does not look into what the script imports. Each
rule therefore has a checksum of these files among its params, and each job reruns when, and only
when, code that it reaches has changed. As inputs, which Snakemake would look at one by one for each
job, they would take a third of the time to plan a large study.
"""

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path


@cache
def import_closure(file: Path, package: Path) -> tuple[Path, ...]:
    """List the files of a package that a Python file imports, directly or through others.

    Args:
        file: a script, or a file of the package.
        package: the package's folder.

    Returns:
        Sorted paths inside `package`, with the `__init__.py` of every package on the way, and
        `file` itself if it belongs to the package. Imports inside functions count.
    """
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current in found:
            continue
        found.add(current)
        waiting += imported(current, package)
    return tuple(sorted(path for path in found if path.is_relative_to(package)))


def code_digest(files: Sequence[Path], package: Path) -> str:
    """Return a checksum of Python files and of all that they reach in a package."""
    reached = {path for file in files for path in (file, *import_closure(file, package))}
    found = hashlib.sha256()
    for path in sorted(reached):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        place = path.relative_to(package).as_posix() if package in path.parents else path.name
        found.update(f"{place} {content}\n".encode())
    return found.hexdigest()[:16]


@cache
def library_digest(package: Path) -> str:
    """Return the SHA-256 of all Python files of a package; not the ends of last lines."""
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = hashlib.sha256(path.read_bytes().rstrip(b"\n")).hexdigest()
        found.update(f"{path.relative_to(package).as_posix()} {content}\n".encode())
    return found.hexdigest()


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
    for name in names:
        head, *parts = name.split(".")
        if head != package.name:
            continue
        for depth in range(len(parts) + 1):
            place = package.joinpath(*parts[:depth])
            candidates = (place / "__init__.py", place.with_suffix(".py"))
            files += [path for path in candidates if path.is_file()]
    return tuple(files)


def _statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield statements and those inside them: a tenth of the nodes of a file, with all imports."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, part, ()))
