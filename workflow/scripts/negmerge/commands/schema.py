"""Print the JSON schema of a study's file."""

import argparse
import json

SUMMARY = "print the JSON schema of studies, with which editors complete and check them"
EPILOG = "example:\n  negmerge schema > config/studies/schema.json"
NULL = {"type": "null"}
# Models of which a study that extends another may set any key to null.
CLEARED = ("Use", "Pool")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing."""


def run(options: argparse.Namespace) -> None:
    """Print the schema."""
    from negmerge.settings.study import Study

    schema = Study.model_json_schema()
    needed = schema["required"]
    for name in CLEARED:
        keys = schema["$defs"][name]["properties"]
        keys |= {key: {"anyOf": [one, NULL]} for key, one in keys.items()} | {"*": NULL}
    complete = {"required": needed, "properties": {"experiments": {"minProperties": 1}}}
    schema = _loosened(schema) | {"if": {"required": ["extends"]}, "else": complete}
    print(json.dumps(schema, indent=2))


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
