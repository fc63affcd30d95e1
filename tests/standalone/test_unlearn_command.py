"""The command `negmerge unlearn`: its words, lines and exit status."""

import json
from pathlib import Path

import pytest
import torch
from model_folders import read, save_pool

from negmerge.cli import main


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A base and two models fine-tuned from it, in the working folder."""
    monkeypatch.chdir(tmp_path)
    return save_pool(tmp_path, count=2)[0]


def run(capsys, *words):
    status = main(["unlearn", *map(str, words)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


MODELS = ("base", "tuned1", "tuned2", "-o", "out")


def test_it_says_what_it_did(pool, capsys):
    status, out, err = run(capsys, *MODELS, "--coefficient", 0.9)
    assert (status, err) == (0, "")
    report = json.loads((Path("out") / "negmerge.json").read_text())
    assert out == (
        f"out: the vector changes {report['kept']} of 107 numbers "
        f"({100 * report['kept'] / 107:.2f} %)\n"
    )
    assert report["command"].startswith("negmerge ")


def test_a_report_for_programs(pool, capsys):
    words = ("--coefficient", -0.5, "--json", "--dtype", "bfloat16", "--exclude", "norm")
    status, out, err = run(capsys, *MODELS, *words, "--method", "ties", "--option", "density=0.5")
    assert status == 0
    assert err.startswith("note: --exclude norm fits norm.running_var, norm.weight\n")
    report = json.loads(out)
    assert report["options"]["density"] == 0.5
    assert (report["coefficient"], report["dtype"]) == (-0.5, "bfloat16")
    assert read("out")["norm.weight"].dtype == torch.bfloat16


MISTAKES = {
    "no coefficient": (MODELS, "the coefficient is missing; give one, such as 0.9, or "),
    "a method": (
        (*MODELS, "--coefficient", "1", "--method", "negmerg"),
        "unknown merge method 'negmerg'; did you mean 'negmerge'?",
    ),
    "an option": (
        (*MODELS, "--coefficient", "1", "--option", "density=1"),
        "negmerge: unknown option 'density'; valid: operation",
    ),
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_end_in_one_line(pool, capsys, words, message):
    status, out, err = run(capsys, *words)
    assert (status, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert not Path("out").exists()
