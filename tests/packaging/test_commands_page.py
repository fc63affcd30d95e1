"""docs/commands.md lists every command with its arguments, and docs/help.md has lines that occur.

`python tests/packaging/test_commands_page.py` writes the first anew.
"""

import argparse
import re
from pathlib import Path

from negmerge.cli import COMMANDS, _parser

ROOT = Path(__file__).parents[2]
PAGE, HELP = ROOT / "docs" / "commands.md", ROOT / "docs" / "help.md"
HEAD = """\
# Commands

This page was written from what `negmerge COMMAND --help` says. A mistake is one line that begins
with `error:`, and the exit status is then not 0.
"""


def argument(action: argparse.Action) -> tuple[str, str]:
    """Spell an argument as one types it, and say what it does."""
    name = action.metavar or action.dest.upper()
    if action.option_strings:
        value = "" if action.nargs == 0 else f" {name}"
        shown = ", ".join(f"`{option}{value}`" for option in action.option_strings)
    else:
        shown = f"`{name}...`" if action.nargs in ("+", "*") else f"`{name}`"
    text = (action.help or "") % (vars(action) | {"prog": "negmerge"})
    return shown, " ".join(text.split()).replace("|", "\\|")


def page() -> str:
    """Write the whole page."""
    parser = _parser()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    parts = [HEAD]
    for name in COMMANDS:
        command = commands.choices[name]
        rows = [argument(a) for a in command._actions if a.dest != "help"]
        lines = [f"| {shown} | {text} |" for shown, text in rows]
        table = ["| argument | what it is |", "| --- | --- |", *lines] if lines else []
        text = "\n".join([*table, "", "```text", command.epilog.strip(), "```"])
        parts.append(f"## `negmerge {name}`\n\n{command.description}\n\n{text}\n")
    return "\n".join(parts)


def test_the_page_has_every_command_as_its_help_has_it():
    assert PAGE.read_text() == page(), "run `python tests/packaging/test_commands_page.py`"


def test_each_line_of_the_help_page_is_one_that_the_code_prints():
    lines = re.findall(r"^\| `([^`]+)` \|", HELP.read_text(), re.M)
    files = (ROOT / "workflow" / "scripts").rglob("*.py")
    code = "".join(path.read_text() for path in files) + (ROOT / "Makefile").read_text()
    assert lines
    for line in lines:
        assert line in code, line


if __name__ == "__main__":
    PAGE.write_text(page())
