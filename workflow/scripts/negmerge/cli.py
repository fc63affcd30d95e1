"""The `negmerge` command: merge and negate checkpoints; check, plan and verify studies."""

import argparse
import os
import sys
from collections.abc import Sequence

from negmerge import __version__, plugins
from negmerge.errors import UserError

# In the order of the help: those for studies, then those for checkpoints.
COMMANDS = (
    *("check", "data", "plan", "methods", "schema", "verify", "pack"),
    *("merge", "negate", "unlearn", "inspect", "convert"),
)
# What shells call the end by Ctrl-C.
INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, or that of a mistake, 1 or 2."""
    words = sys.argv[1:] if words is None else words
    options = _parser().parse_args(words, argparse.Namespace(words=words))
    try:
        status = int(options.run(options) or 0)
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return options.mistake
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "negmerge"):
            raise
        print(
            f"error: `negmerge {options.command}` needs {package}, which is not installed: "
            "pip install 'negmerge[workflow]'",
            file=sys.stderr,
        )
        return options.mistake
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; at its end Python would write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="negmerge",
        description="Merge fine-tuned models and subtract the result, to make a model forget.",
        epilog="`negmerge COMMAND --help` explains a command and gives an example.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    added = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = plugins.load(plugins.COMMANDS, name)
        command = added.add_parser(
            name,
            help=module.SUMMARY,
            description=f"{module.SUMMARY[0].upper()}{module.SUMMARY[1:]}.",
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(command=name, run=module.run, mistake=getattr(module, "MISTAKE", 1))
    return parser
