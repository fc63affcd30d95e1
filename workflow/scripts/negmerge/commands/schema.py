"""Print the JSON schema of a study's file, or of the rows that studies name."""

import argparse
import json

SUMMARY = "print a JSON schema, with which editors complete and check studies and rows"
EPILOG = (
    "`make` writes all of them to config/schemas/.\n\n"
    "example:\n  negmerge schema > config/schemas/study.json\n"
    "  negmerge schema models > config/schemas/models.json"
)
STUDY = "study"
NULL = {"type": "null"}
# Models of which a study that extends another may set any key to null.
CLEARED = ("Use", "Pool", "Coefficients")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        metavar="KIND",
        nargs="?",
        default=STUDY,
        help="study, the default, or a file of rows in config/: datasets, models or prompts",
    )


def run(options: argparse.Namespace) -> None:
    from pydantic import TypeAdapter

    from negmerge.errors import find
    from negmerge.settings.catalogue import FILES
    from negmerge.settings.study import Study

    kind = find("kind of settings", options.kind, {STUDY: Study} | FILES)
    schema = _of_studies(kind) if kind is Study else TypeAdapter(kind).json_schema()
    print(json.dumps(schema, indent=2))


def _of_studies(study: type) -> dict:
    """Return the schema of studies, also of those that extend another."""
    schema = study.model_json_schema()
    needed = schema["required"]
    for name in CLEARED:
        keys = schema["$defs"][name]["properties"]
        keys |= {key: {"anyOf": [value, NULL]} for key, value in keys.items()} | {"*": NULL}
    complete = {"required": needed, "properties": {"experiments": {"minProperties": 1}}}
    return _loosened(schema) | {"if": {"required": ["extends"]}, "else": complete}


def _loosened(schema: object) -> object:
    """Let a study leave out what it takes over, or take it away with null."""
    if isinstance(schema, list):
        return [_loosened(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = ("discriminator", "minProperties")
    loose = {key: _loosened(value) for key, value in schema.items() if key not in dropped}
    if isinstance(loose.get("required"), list):
        del loose["required"]
    if "oneOf" in loose:
        loose["anyOf"] = loose.pop("oneOf")
    if isinstance(loose.get("additionalProperties"), dict):
        loose["additionalProperties"] = {"anyOf": [loose["additionalProperties"], NULL]}
    return loose
