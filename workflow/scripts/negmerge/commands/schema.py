"""Print the JSON schema of a study's file, or of the rows that studies name."""

import argparse
import json

SUMMARY = "print a JSON schema, with which editors complete and check studies and rows"
EPILOG = (
    "example:\n  negmerge schema > config/studies/schema.json\n"
    "  negmerge schema models > config/schemas/models.json"
)
NULL = {"type": "null"}
# Models of which a study that extends another may set any key to null.
CLEARED = ("Use", "Pool")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which files the schema is for."""
    parser.add_argument(
        "rows",
        metavar="ROWS",
        nargs="?",
        help="a file of rows in config/, such as models; without it, the schema is that of a study",
    )


def run(options: argparse.Namespace) -> None:
    """Print the schema.

    Raises:
        UserError: there is no such file of rows.
    """
    schema = _of_rows(options.rows) if options.rows else _of_studies()
    print(json.dumps(schema, indent=2))


def _of_rows(name):
    """Return the schema of a file of rows."""
    from pydantic import TypeAdapter

    from negmerge.errors import find
    from negmerge.settings.catalogue import FILES

    return TypeAdapter(find("file of rows", name, FILES)).json_schema()


def _of_studies():
    """Return the schema of studies."""
    from negmerge.settings.study import Study

    schema = Study.model_json_schema()
    needed = schema["required"]
    for name in CLEARED:
        keys = schema["$defs"][name]["properties"]
        keys |= {key: {"anyOf": [one, NULL]} for key, one in keys.items()} | {"*": NULL}
    complete = {"required": needed, "properties": {"experiments": {"minProperties": 1}}}
    return _loosened(schema) | {"if": {"required": ["extends"]}, "else": complete}


def _loosened(schema):
    """Let a study leave out what it takes over, or take it away with null.

    Which keys a complete study lacks, `negmerge check` says.
    """
    if isinstance(schema, list):
        return [_loosened(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = ("discriminator", "minProperties")
    found = {key: _loosened(one) for key, one in schema.items() if key not in dropped}
    if isinstance(found.get("required"), list):
        del found["required"]
    if "oneOf" in found:
        found["anyOf"] = found.pop("oneOf")
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = {"anyOf": [found["additionalProperties"], NULL]}
    return found
