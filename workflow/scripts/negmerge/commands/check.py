"""Check a study, and print what is in it."""

import argparse
from pathlib import Path

from negmerge.commands import arguments

SUMMARY = "check a study and list its experiments, points, methods, tables and figures"
EPILOG = "example:\n  negmerge check demo\n  negmerge check smoke --resolved"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add(parser, "study")
    parser.add_argument(
        "--config",
        metavar="FOLDER",
        type=Path,
        default=Path("config"),
        help="the folder with studies/ and the other settings; config if none is given",
    )
    parser.add_argument(
        "--resolved",
        action="store_true",
        help="print the whole study as one file that extends no other, not the list",
    )


def run(options: argparse.Namespace) -> None:
    from negmerge.settings.load import Extension, read_study, write_yaml
    from negmerge.settings.pool import by_hand, files_of
    from negmerge.settings.study import Study, load_study

    study = load_study(options.config, options.study)
    if options.resolved:
        content, _ = read_study(options.config, options.study, Study)
        own = {key: content[key] for key in content if key not in Extension.model_fields}
        print(write_yaml(own), end="")
        return
    print(f"{options.study}: {study.title}")
    for name, experiment in study.experiments.items():
        points, coefficients = list(experiment.pool.changes), experiment.coefficients.values
        print(f"\nexperiment {name}: {experiment.scenario}, {experiment.model}")
        sets = ", ".join(dict.fromkeys(experiment.datasets))
        print(f"  tasks: {', '.join(experiment.task_names)}; data sets: {sets}")
        print(f"  {len(points)} points: {', '.join(points)}")
        fetched = study.catalogue.models[experiment.model].download
        others = [m for m in experiment.given_models if not fetched or m.file != fetched.name]
        missing = [model for model in others if not files_of(model.file)]
        if missing:
            print(f"  missing: {by_hand(missing)}")
        print(f"  {len(experiment.methods)} methods: {', '.join(experiment.methods)}")
        print(f"  {len(coefficients)} coefficients: {coefficients[0]:g} to {coefficients[-1]:g}")
    for caution in study.cautions():
        print(f"\ncaution: {caution}")
    for what, parts in (("table", study.tables), ("figure", study.figures)):
        if parts:
            print()
        for name, part in parts.items():
            print(f"{what} {name}: {part.kind}, {part.title}")
