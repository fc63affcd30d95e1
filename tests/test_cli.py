"""The command line: what it prints, what it refuses, and how it ends."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from negmerge import __version__
from negmerge.checkpoints.states import read_metadata, read_state, write_state
from negmerge.cli import COMMANDS, main
from negmerge.merging import METHODS
from negmerge.settings import methods


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A folder with a base, two fine-tuned models and their task vectors."""
    monkeypatch.chdir(tmp_path)
    base = torch.tensor([1.0, 2.0, 3.0, 4.0])
    write_state("base", {"w": base, "n": torch.tensor(5)}, {})
    for name, vector in {"1": [1.0, -1.0, 2.0, 0.0], "2": [3.0, 1.0, 4.0, 2.0]}.items():
        vector = torch.tensor(vector)
        write_state(f"v{name}", {"w": vector}, {})
        write_state(f"m{name}", {"w": base + vector, "n": torch.tensor(6)}, {})
    return tmp_path


def run(capsys, *words):
    """Run a command; give its exit status and what it printed."""
    status = main([str(word) for word in words])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def error(capsys, *words):
    status, out, err = run(capsys, *words)
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err.removeprefix("error: ").removesuffix("\n")


def test_vectors_are_merged(pool, capsys):
    status, out, err = run(capsys, "merge", "negmerge", "v1", "v2", "-o", "folder/merged")
    assert status == 0
    assert out == "folder/merged: 2 of 4 numbers are not zero (50.00 %)\n"
    assert err == ""  # the bar is for terminals
    assert read_state("folder/merged")["w"].tolist() == [2.0, 0.0, 3.0, 0.0]


def test_options_are_numbers_words_or_truth_values(pool, capsys):
    words = "merge dare v1 -o merged --option drop=5e-1 --option seed=7 --option by=magnitude"
    status, out, _ = run(capsys, *words.split(), "--option", "rescale=false", "--json")
    report = json.loads(out)
    assert (status, report) == (0, read_metadata("merged"))
    assert report["options"] == {"drop": 0.5, "by": "magnitude", "rescale": False, "seed": 7}


def test_negation_subtracts(pool, capsys):
    status, out, err = run(capsys, "negate", "base", "v2", "0.5", "-o", "unlearned", "--json")
    report = json.loads(out)
    assert (status, err, report) == (0, "", read_metadata("unlearned"))
    assert (report["coefficient"], report["version"]) == (0.5, __version__)
    assert (report["kept"], report["numbers"]) == (4, 4)
    state = read_state("unlearned")
    assert state["w"].tolist() == [-0.5, 1.5, 1.0, 3.0]
    assert state["n"] == 5
    assert run(capsys, "negate", "base", "v2", "-1", "-o", "more")[0] == 0
    assert read_state("more")["w"].tolist() == [4.0, 3.0, 7.0, 6.0]


@pytest.mark.parametrize(
    "words", [("merge", "uniform", "v1"), ("negate", "base", "v1", "1")], ids=lambda w: w[0]
)
def test_nothing_is_overwritten_unless_forced(pool, capsys, words):
    Path("out").write_text("precious")
    assert error(capsys, *words, "-o", "out") == "out: exists already; --force overwrites it"
    assert Path("out").read_text() == "precious"
    assert run(capsys, *words, "-o", "out", "--force")[0] == 0
    assert list(read_state("out"))


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("merge negmerg v1 -o out", ["merge method 'negmerg'", "did you mean 'negmerge'"]),
        (
            "merge negmerge v1 -o out --option base=1",
            ["negmerge: ", "option 'base'", "valid: operation"],
        ),
        ("merge negmerge v1 v3 -o out", ["v3: ", "found here: v2, v1"]),
        ("merge negmerge m1 -o out", ["m1: tensor 'n' holds torch.int64", "base"]),
        ("negate base m1 1 -o out", ["m1: tensor 'n' is not expected"]),
        ("negate base v1 1 -o v2/out", ["v2/out: cannot be written"]),
        ("schema costs", ["kind of settings 'costs'", "valid: datasets, models, prompts, study"]),
    ],
)
def test_mistakes_end_in_one_line(pool, capsys, words, parts):
    message = error(capsys, *words.split())
    assert all(part in message for part in parts), message
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("mrge", "invalid choice: 'mrge'"),
        ("merge negmerge -o x", "the following arguments are required: FILE"),
        ("merge uniform v -o x --threads 0", "'0' is not a whole number from 1"),
        ("merge uniform v -o x --option a", "'a' is not NAME=VALUE"),
        ("negate b v nan -o x", "'nan' is not a finite number"),
        ("unlearn b v -o x --evaluate e --timeout 0", "'0' is not a number above 0"),
    ],
)
def test_words_that_are_no_command_end_with_the_usage(capsys, words, message):
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("usage: negmerge")
    assert message in printed


def test_help_lists_the_commands_and_methods_and_has_examples(capsys):
    def printed(*words):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 0
        return capsys.readouterr().out

    listed = re.findall(r"^ {4}([\w-]+)(?: |$)", printed("--help"), re.M)
    assert listed == list(COMMANDS)
    for command in COMMANDS:
        assert re.search(rf"examples?:\n  negmerge {command}", printed(command, "--help"))
    assert f"methods: {', '.join(sorted(METHODS))}\n" in printed("merge", "--help")
    assert printed("--version") == f"negmerge {__version__}\n"


def test_the_methods_are_listed_with_what_their_files_say(capsys):
    status, out, _ = run(capsys, "methods")
    assert status == 0
    kinds = [line.split()[1] for line in out.splitlines() if line.startswith("kind ")]
    assert kinds == ["base:", "retrain:", "single:", "greedy:", "merge:", "unlearn:"]
    assert set(re.findall(r"^  ([\w-]+): ", out, re.M)) == set(methods.known())
    assert "\n  salun: SalUn\n    SalUn: random labels, for the weights on which " in out
    assert "\n      density = 0.2: a number >= 0 and <= 1. Share of each vector's numbers to" in out
    assert max(map(len, out.splitlines())) <= 100
    records = json.loads(run(capsys, "methods", "--json")[1])["methods"]
    assert {record["name"]: record["kind"] for record in records} == methods.known()


def test_a_study_is_listed(config, capsys):
    status, out, _ = run(capsys, "check", "example", "--config", config)
    assert status == 0
    study = yaml.safe_load((config / "studies" / "example.yaml").read_text())
    assert f"example: {study['title']}" in out
    assert "experiment mini-clip: zero-shot, mini-clip" in out
    assert "  6 points: m1-n1, m1-n3, m10-n1, m10-n3, m5-n1, m5-n3" in out
    assert "  31 coefficients: 0 to 1.5" in out
    assert "  tasks: digits, letters; data sets: digits, letters, fashion" in out
    for name, table in study["tables"].items():
        assert f"table {name}: {table['kind']}, {table['title']}" in out


def test_an_interruption_is_one_word(pool, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("negmerge.merging.merge_files", interrupt)
    assert run(capsys, "merge", "uniform", "v1", "-o", "out") == (130, "", "interrupted\n")


def test_a_reader_that_stops_early_is_no_error():
    code = "import sys; from negmerge.cli import main; sys.exit(main(['schema']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait() == 0
