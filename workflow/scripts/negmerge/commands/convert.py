"""Write the files that the authors of NegMerge released as safetensors files."""

import argparse
import sys
from pathlib import Path

from negmerge.commands import arguments

SUMMARY = (
    "convert the files that the authors of NegMerge released, without running anything of them"
)
EPILOG = (
    "OUT is a folder. Fine-tuned encoders become OUT/m1-n1.safetensors and so on; other files\n"
    "keep their names. The tensors have open_clip's names. What an encoder carries of the text\n"
    "part, which no image reaches, goes to OUT/text/.\n\n"
    "example:\n  negmerge convert zeroshot.pt clip-vit-b-32_cars_rand-*_finetuned.pt -o released"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is converted, and where to."""
    parser.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help="a .pt file, or a folder with some"
    )
    arguments.add(parser, *arguments.OUTPUT)


def run(options: argparse.Namespace) -> None:
    """Convert."""
    from negmerge.checkpoints.released import convert_files

    records = convert_files(
        options.files, options.output, overwrite=options.force, progress=sys.stderr.isatty()
    )
    arguments.print_report(options, {"files": records}, map(_line, records))


def _line(record: dict) -> str:
    counted = f"{record['tensors']} tensors, {record['numbers']:,} numbers"
    text = record["text_numbers"]
    of_text = f", of which {text:,} of the text part" if text else ""
    return f"{record['written'][0]}: {record['kind']}, {counted}{of_text}"
