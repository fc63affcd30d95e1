"""The rules and the imports of the workflow, read from its text."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "workflow" / "scripts"
PACKAGE = SCRIPTS / "negmerge"
# Rules without a job, which only name what is to be made.
TARGETS = ("all", "downloads")


def rules() -> dict[str, dict[str, str]]:
    """Return the directives of each rule: rule -> directive -> text.

    snakefmt keeps rules at the margin and directives at four blanks, so no parser is needed.
    """
    found = {}
    for file in (ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))):
        for base, name, body in re.findall(
            r"^(?:use rule (\w+) as |rule )(\w+)(?: with)?:\n((?:(?: .*)?\n)+)",
            file.read_text(),
            re.M,
        ):
            parts = re.split(r"^ {4}(\w+):", body, flags=re.M)[1:]
            own = dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))
            found[name] = found.get(base, {}) | own
    return found


def text_of(directive: str) -> str:
    """Take the path out of the text of `conda` or `script`."""
    return re.search(r'"([^"]+)"', directive)[1]


def imports(file: Path, in_functions: bool = True) -> set[str]:
    """List the modules that a file imports when it runs; those for type checkers do not count.

    `in_functions`: also what its functions import when they are called.
    """
    names, waiting = set(), [ast.parse(file.read_text(), str(file))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
            continue
        if isinstance(node, ast.FunctionDef) and not in_functions:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        waiting += ast.iter_child_nodes(node)
    return names


def reached(files: list[Path], in_functions: bool = True) -> set[str]:
    """List the modules that files import, directly or through the library.

    `dependencies.import_closure` is no help here: imports for type checkers count there. A rerun
    too many does no harm, a package too many in an environment does.
    """
    names, seen, waiting = set(), set(), list(files)
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in imports(file, in_functions):
            names.add(name)
            head, *parts = name.split(".")
            for depth in range(len(parts) + 1) if head == PACKAGE.name else ():
                place = PACKAGE.joinpath(*parts[:depth])
                candidates = (place / "__init__.py", place.with_suffix(".py"))
                waiting += [path for path in candidates if path.is_file()]
    return names
