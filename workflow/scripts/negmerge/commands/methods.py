"""Print the methods that a study may use, with what they do and what they take."""

import argparse
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping

from negmerge.commands import arguments

SUMMARY = "list the merge and unlearn methods: what they do, where they come from, their options"
EPILOG = "example:\n  negmerge methods"

KINDS = {
    "base": "the model before forgetting",
    "retrain": "the model that never saw what is forgotten",
    "single": "a single task vector",
    "greedy": "a merge that measures images",
    "merge": "many task vectors to one; all have the options of merging/lines.py, too",
    "unlearn": "a model is trained, or takes one step",
}
TYPES = {"number": "a number", "integer": "a whole number", "boolean": "true or false"}
LAYOUT = textwrap.TextWrapper(
    100, initial_indent=" " * 6, subsequent_indent=" " * 10, break_on_hyphens=False
)
LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add(parser, "--json")


def run(options: argparse.Namespace) -> None:
    from negmerge.settings import methods

    report = {"methods": [_record(name, kind) for name, kind in methods.known().items()]}
    arguments.print_report(options, report, _lines(report["methods"]))


def _record(name: str, kind: str) -> dict:
    """Collect what a method's file, or the list of those without one, says of it."""
    from negmerge.settings import methods

    # Which scenarios a method that trains serves, and which items it reads by default.
    scenarios = data_used = None
    method = methods.definition(name)
    if kind in methods.FOLDERS:
        main = method.combine if kind == "merge" else method.run
        texts = filter(None, (inspect.getdoc(inspect.getmodule(main)), inspect.getdoc(main)))
        explanation = "\n\n".join(texts).partition("\n\nRaises:")[0]
        if kind == "unlearn":
            checked = method.check(name, {})
            scenarios, data_used = checked.scenarios, checked.data_used
    else:
        explanation = method.explanation
    properties = method.options.model_json_schema()["properties"]
    return {
        "name": name,
        "kind": kind,
        "title": method.title,
        "reference": method.reference,
        "explanation": explanation,
        "scenarios": scenarios,
        "data_used": data_used,
        # Without the title that pydantic makes of an option's name.
        "options": {
            option: {key: value for key, value in schema.items() if key != "title"}
            for option, schema in properties.items()
        },
    }


def _lines(records: list[dict]) -> Iterator[str]:
    for kind, heading in KINDS.items():
        yield f"kind {kind}: {heading}"
        for record in (record for record in records if record["kind"] == kind):
            yield f"\n  {record['name']}: {record['title']}"
            yield textwrap.indent(record["explanation"], "    ")
            yield f"    Source: {record['reference']}."
            if record["scenarios"]:
                yield f"    Scenarios: {', '.join(record['scenarios'])}."
                yield f"    Items that it reads: {record['data_used']}."
            for option, schema in record["options"].items():
                default = json.dumps(schema["default"]).strip('"')
                text = f"{option} = {default}: {_values(schema)}. {schema['description']}"
                yield LAYOUT.fill(text)
        yield ""


def _values(schema: Mapping) -> str:
    """Return which values an option may have."""
    if "anyOf" in schema:
        return " or ".join(map(_values, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(schema["enum"])
    limits = [f"{sign} {schema[key]}" for key, sign in LIMITS.items() if key in schema]
    return f"{TYPES.get(schema['type'], schema['type'])} {' and '.join(limits)}".strip()
