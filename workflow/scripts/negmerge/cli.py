"""The `negmerge` command: merge, negate and compare checkpoints; check and plan studies."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from negmerge import __version__, arguments, plugins
from negmerge.errors import UserError, find

BOOLEANS = {"true": True, "false": False}

# torch takes seconds to load, so only the commands that need it import what imports it.


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        words: those after `negmerge`; those of the process if none are given.

    Returns:
        The exit status: 0, or 1 after a mistake that a line on standard error explains. `diff`
        gives 1 where it found a difference, and 2 after a mistake. Words that cannot be read as a
        command end the process with status 2, as argparse does.
    """
    options = _parser().parse_args(words)
    try:
        return int(options.run(options) or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if options.run is diff else 1


def merge(options: argparse.Namespace) -> None:
    """Merge files, and print how many numbers of the result are not zero."""
    _refuse_overwriting(options)
    from negmerge.merging import METHODS, merge_files

    settings = {name: BOOLEANS.get(value, value) for name, value in options.option}
    find("merge method", options.method, METHODS).check(options.method, settings)
    report = merge_files(
        options.method,
        options.files,
        options.output,
        base=options.base,
        progress=sys.stderr.isatty(),
        threads=options.threads,
        device=options.device,
        **settings,
    )
    kept, numbers = report["kept"], report["numbers"]
    share = 100 * kept / max(numbers, 1)
    line = f"{options.output}: {kept:,} of {numbers:,} numbers are not zero ({share:.2f} %)"
    _print(options, report, [line])


def negate(options: argparse.Namespace) -> None:
    """Write base - coefficient * vector."""
    _refuse_overwriting(options)
    from negmerge.negation import negate_files

    report = negate_files(options.base, options.vector, options.coefficient, options.output)
    _print(options, report, [])


def inspect(options: argparse.Namespace) -> None:
    """Print how far the vectors of a pool agree, layer by layer."""
    from negmerge.merging.inspection import describe, inspect_files

    report = inspect_files(options.files, options.base, progress=sys.stderr.isatty())
    _print(options, report, describe(report))


def diff(options: argparse.Namespace) -> int:
    """Print where two states differ."""
    from negmerge.comparison import describe, diff_files

    report = diff_files(options.first, options.second, progress=sys.stderr.isatty())
    _print(options, report, describe(report))
    return 0 if report["equal"] else 1


def check(options: argparse.Namespace) -> None:
    """Check a study, and print what is in it."""
    from negmerge.study import load_study

    study = load_study(options.config, options.study)
    print(f"{options.study}: {study.title}")
    for name, experiment in study.experiments.items():
        points, coefficients = list(experiment.pool.changes), experiment.coefficients.values
        print(f"\nexperiment {name}: {experiment.scenario}, {experiment.model}")
        sets = ", ".join(dict.fromkeys(experiment.datasets))
        print(f"  tasks: {', '.join(experiment.task_names)}; data sets: {sets}")
        print(f"  {len(points)} points: {', '.join(points)}")
        print(f"  {len(experiment.methods)} methods: {', '.join(experiment.methods)}")
        print(f"  {len(coefficients)} coefficients: {coefficients[0]:g} to {coefficients[-1]:g}")
    for kind, exhibits in (("table", study.tables), ("figure", study.figures)):
        if exhibits:
            print()
        for name, exhibit in exhibits.items():
            print(f"{kind} {name}: {exhibit.kind}, {exhibit.title}")


def plan(options: argparse.Namespace) -> None:
    """Print what a study, or a part of it, will take, beside what it took."""
    from negmerge.planning.layout import describe
    from negmerge.planning.plan import make_plan

    report = make_plan(options.study, options.target)
    _print(options, report, describe(report))


def schema(options: argparse.Namespace) -> None:
    """Print the JSON schema of a study."""
    from negmerge.study import Study

    print(json.dumps(Study.model_json_schema(), indent=2))


def _print(options: argparse.Namespace, report: dict, lines: Iterable[str]) -> None:
    """Print a report as JSON if that was asked for, else as lines for people."""
    for line in [json.dumps(report, indent=2)] if options.json else lines:
        print(line)


def _refuse_overwriting(options: argparse.Namespace) -> None:
    if options.output.exists() and not options.force:
        raise UserError(f"{options.output}: exists already; --force overwrites it")


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
        "The files are read block by block; sums run in the order in which they are given.\n\n"
        "example:\n"
        "  negmerge merge negmerge pool/*.safetensors --base base.safetensors \\\n"
        "      -o merged.safetensors",
    )
    command.add_argument("method", metavar="METHOD", help="how to merge")
    arguments.add_pool(command)
    command.add_argument(
        "--option",
        metavar="NAME=VALUE",
        type=arguments.option,
        action="append",
        default=[],
        help="an option of the method, a number, word, true or false; repeat it for several",
    )
    command.add_argument("--threads", metavar="N", type=arguments.count, default=1, help="threads")
    command.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to merge")
    arguments.add_output(command)

    command = _command(
        commands,
        negate,
        "subtract a vector from a base: base - COEFFICIENT * vector",
        "example:\n"
        "  negmerge negate base.safetensors merged.safetensors 0.9 -o unlearned.safetensors",
    )
    command.add_argument("base", metavar="BASE", type=Path, help="the weights before forgetting")
    command.add_argument("vector", metavar="VECTOR", type=Path, help="a task or merged vector")
    command.add_argument(
        "coefficient", metavar="COEFFICIENT", type=arguments.finite, help="its scale"
    )
    arguments.add_output(command)

    command = _command(
        commands,
        inspect,
        "show how far task vectors agree: signs, zeros and cosines, layer by layer",
        "example:\n  negmerge inspect pool/*.safetensors --base base.safetensors",
    )
    arguments.add_pool(command)
    arguments.add_json(command)

    command = _command(
        commands,
        diff,
        "show where the numbers, names, shapes or types of two states differ",
        "The exit status is 0 if they are equal, 1 if they differ, 2 after a mistake.\n\n"
        "example:\n  negmerge diff base.safetensors unlearned.safetensors",
    )
    command.add_argument("first", metavar="A", type=Path, help=arguments.STATE)
    command.add_argument("second", metavar="B", type=Path, help=arguments.STATE)
    arguments.add_json(command)

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

    command = _command(
        commands,
        plan,
        "say what a study will take: jobs, hours, downloads and disk",
        "Nothing is run. The hours are estimates, with config/costs.yaml; what jobs that have\n"
        "run took stands beside. Call it where the Snakefile lies.\n\n"
        "example:\n  negmerge plan paper table2",
    )
    command.add_argument("study", metavar="STUDY", help="its file's name without .yaml")
    command.add_argument(
        "target", metavar="TARGET", nargs="?", default="report",
        help="a table, a figure, a path, or report, the default",
    )  # fmt: skip
    arguments.add_json(command)

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
