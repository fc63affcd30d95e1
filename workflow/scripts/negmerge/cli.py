"""The `negmerge` command: merge and negate checkpoints of your own, and check studies."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from negmerge import __version__, plugins
from negmerge.errors import UserError, find

# torch takes seconds to load, so only the commands that need it import what imports it.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after `negmerge`; those of the process if none are given.

    Returns:
        The exit status: 0, or 1 after a mistake that a line on standard error explains. Words that
        cannot be read as a command end the process with status 2, as argparse does.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def merge(options: argparse.Namespace) -> None:
    """Merge files, and print how many numbers of the result are not zero."""
    _refuse_overwriting(options)
    from negmerge.merging import METHODS, merge_files

    settings = dict(options.option)
    find("merge method", options.method, METHODS).check(options.method, settings)
    report = merge_files(
        options.method,
        options.files,
        options.output,
        base=options.base,
        progress=sys.stderr.isatty(),
        **settings,
    )
    kept, numbers = report["kept"], report["numbers"]
    share = 100 * kept / max(numbers, 1)
    print(f"{options.output}: {kept:,} of {numbers:,} numbers are not zero ({share:.2f} %)")


def negate(options: argparse.Namespace) -> None:
    """Write base - coefficient * vector."""
    _refuse_overwriting(options)
    from negmerge.files import sha256
    from negmerge.states import read_state, write_state
    from negmerge.vectors import apply

    base, vector = read_state(options.base), read_state(options.vector)
    state = apply(base, vector, -options.coefficient, options.vector)
    made_of = {
        role: {"name": path.name, "sha256": sha256(path)}
        for role, path in (("base", options.base), ("vector", options.vector))
    }
    numbers = {"coefficient": options.coefficient, "version": __version__}
    write_state(options.output, state, made_of | numbers)


def check(options: argparse.Namespace) -> None:
    """Check a study, and print what is in it."""
    from negmerge.study import load_study

    study = load_study(options.config, options.study)
    print(f"{options.study}: {study.title}")
    for name, experiment in study.experiments.items():
        points, coefficients = list(experiment.pool.changes), experiment.coefficients.values
        print(f"\nexperiment {name}: {experiment.scenario}, {experiment.model}")
        print(f"  tasks: {', '.join(experiment.tasks)}; control: {experiment.control}")
        print(f"  {len(points)} points: {', '.join(points)}")
        print(f"  {len(experiment.methods)} methods: {', '.join(experiment.methods)}")
        print(f"  {len(coefficients)} coefficients: {coefficients[0]:g} to {coefficients[-1]:g}")
    for kind, exhibits in (("table", study.tables), ("figure", study.figures)):
        if exhibits:
            print()
        for name, exhibit in exhibits.items():
            print(f"{kind} {name}: {exhibit.kind}, {exhibit.title}")


def schema(options: argparse.Namespace) -> None:
    """Print the JSON schema of a study."""
    from negmerge.study import Study

    print(json.dumps(Study.model_json_schema(), indent=2))


def _refuse_overwriting(options: argparse.Namespace) -> None:
    if options.output.exists() and not options.force:
        raise UserError(f"{options.output}: exists already; --force overwrites it")


def _option(text: str) -> tuple[str, float | str]:
    """Read NAME=VALUE, with a number as a number."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as density=0.2")
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            pass
    return name, value


def _finite(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="negmerge",
        description="Merge fine-tuned models and subtract the result, to make a model forget.",
        epilog="`negmerge COMMAND --help` explains a command and gives an example.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    methods = ", ".join(plugins.names(plugins.MERGE_METHODS))
    command = _command(
        commands,
        merge,
        "merge task vectors, or checkpoints of one base, into one vector",
        f"methods: {methods}\n\n"
        "The files are read tensor by tensor; sums run in the order in which they are given.\n\n"
        "example:\n"
        "  negmerge merge negmerge pool/*.safetensors --base base.safetensors \\\n"
        "      -o merged.safetensors",
    )
    command.add_argument("method", metavar="METHOD", help="how to merge")
    command.add_argument("files", metavar="FILE", nargs="+", type=Path, help="safetensors files")
    command.add_argument(
        "--base",
        metavar="FILE",
        type=Path,
        help="the checkpoint before fine-tuning; with it, the files are checkpoints, not vectors",
    )
    command.add_argument(
        "--option",
        metavar="NAME=VALUE",
        type=_option,
        action="append",
        default=[],
        help="an option of the method; repeat it for several",
    )
    _add_output(command)

    command = _command(
        commands,
        negate,
        "subtract a vector from a base: base - COEFFICIENT * vector",
        "example:\n"
        "  negmerge negate base.safetensors merged.safetensors 0.9 -o unlearned.safetensors",
    )
    command.add_argument("base", metavar="BASE", type=Path, help="the weights before forgetting")
    command.add_argument("vector", metavar="VECTOR", type=Path, help="a task or merged vector")
    command.add_argument("coefficient", metavar="COEFFICIENT", type=_finite, help="its scale")
    _add_output(command)

    command = _command(
        commands,
        check,
        "check a study and list its experiments, points, methods, tables and figures",
        "example:\n  negmerge check demo",
    )
    command.add_argument("study", metavar="STUDY", help="its file's name without .yaml")
    command.add_argument(
        "--config", metavar="FOLDER", type=Path, default=Path("config"), help="default: config"
    )

    _command(
        commands,
        schema,
        "print the JSON schema of studies, with which editors complete and check them",
        "example:\n  negmerge schema > config/studies/schema.json",
    )
    return parser


def _command(
    commands: argparse._SubParsersAction,
    run: Callable[[argparse.Namespace], None],
    summary: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """Add a command under the name of its function."""
    command = commands.add_parser(
        run.__name__,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="the file to write"
    )
    command.add_argument("--force", action="store_true", help="overwrite OUT if it exists")
