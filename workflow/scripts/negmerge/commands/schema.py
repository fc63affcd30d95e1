"""Print the JSON schema of a study."""

import argparse
import json

SUMMARY = "print the JSON schema of studies, with which editors complete and check them"
EPILOG = "example:\n  negmerge schema > config/studies/schema.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing."""


def run(options: argparse.Namespace) -> None:
    """Print the schema."""
    from negmerge.settings.study import Study

    print(json.dumps(Study.model_json_schema(), indent=2))
