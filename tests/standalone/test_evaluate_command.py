"""`negmerge unlearn --evaluate`: the coefficient by a command of the user's."""

import csv
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from negmerge.cli import main
from negmerge.files import read_json
from negmerge.standalone.unlearning import unlearn

# Reads a model without torch, which takes seconds to load. The base has 1 at the first place and
# the vector too, so the coefficient is what is missing there.
SCRIPT = """
import json, os, struct, subprocess, sys, time
from pathlib import Path

model = Path(sys.argv[1])
file = model / "model.safetensors" if model.is_dir() else model
raw = file.read_bytes()
size = struct.unpack("<Q", raw[:8])[0]
entry = json.loads(raw[8 : 8 + size])["w"]
code = {"F32": "<f", "F16": "<e"}[entry["dtype"]]
c = round(1 - struct.unpack_from(code, raw, 8 + size + entry["data_offsets"][0])[0], 3)
with open("calls", "a") as calls:
    print(c, model, file=calls)
print("reading the model")
result = {"forget": 0.8 - 0.6 * c, "control": 0.5 - 0.1 * c * c, "rouge": c}
SPECIAL
print(json.dumps(result))
print()
"""
GRID = [round(0.05 * number, 10) for number in range(21)]
KEPT = 0.5  # 0.5 - 0.1 c^2 keeps 95 % up to here


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with a base, as a folder and as a file, and a pool of two."""
    monkeypatch.chdir(tmp_path)
    base = {"w": torch.tensor([1.0, 2.0, 3.0]), "n": torch.tensor(5)}
    Path("base").mkdir()
    Path("base/config.json").write_text('{"model_type": "made-up"}')
    save_file(base, "base/model.safetensors", metadata={"format": "pt"})
    save_file(base, "base.safetensors")
    for name, vector in {"a": [1.0, 0.5, -1.0], "b": [1.0, 1.5, 1.0]}.items():
        save_file({"w": base["w"] + torch.tensor(vector), "n": torch.tensor(6)}, name)
    return tmp_path


def command(special=""):
    Path("my eval.py").write_text(SCRIPT.replace("SPECIAL", special))
    return f"{shlex.quote(sys.executable)} -S 'my eval.py' {{model}}"


def words_of(*more, base="base.safetensors", output="out.safetensors", evaluate=None):
    words = ("unlearn", base, "a", "b", "-o", output, "--evaluate", evaluate or command())
    return [str(word) for word in (*words, *more)]


def run(capsys, *more, **places):
    """Run the command; give its exit status and what it printed."""
    status = main(words_of(*more, **places))
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def error(capsys, *more, **places):
    """Run a command that fails; give the line that tells why."""
    status, out, err = run(capsys, *more, **places)
    assert (status, out) == (1, "")
    assert not Path("out.safetensors").exists()
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0].removeprefix("error: ")


def calls():
    """The coefficients that were measured, and where."""
    lines = [line.split(maxsplit=1) for line in Path("calls").read_text().splitlines()]
    return [(float(coefficient), model) for coefficient, model in lines]


def left():
    """What a search left beside its output."""
    return sorted(path.name for path in Path().glob(".*"))


def test_the_coefficient_of_a_file_is_chosen(place, capsys):
    status, out, err = run(capsys)
    assert status == 0
    assert out.splitlines() == [
        "coefficient 0.5: forget from 0.8 to 0.5, control from 0.5 to 0.475 (95.0 %)",
        "out.safetensors: the vector changes 2 of 3 numbers (66.67 %)",
    ]
    assert [coefficient for coefficient, _ in calls()] == GRID
    assert calls()[0][1] == str(place / "base.safetensors")
    table = err.splitlines()
    assert table[0].split() == ["coefficient", "forget", "control", "kept"]
    assert table[1].split() == ["0", "0.8000", "0.5000", "100.0%", "base"]
    assert table[11].split() == ["0.5", "0.5000", "0.4750", "95.0%", "best", "so", "far"]
    assert table[21].split() == ["1", "0.2000", "0.4000", "80.0%", "control", "lost"]
    assert left() == []
    unlearn("base.safetensors", ["a", "b"], "direct.safetensors", coefficient=KEPT)
    output, expected = load_file("out.safetensors"), load_file("direct.safetensors")
    assert all(torch.equal(output[name], expected[name]) for name in expected)
    with open("out.evaluations.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["coefficient"]) for row in rows] == GRID
    assert [row["coefficient"] for row in rows if row["chosen"] == "true"] == ["0.5"]
    assert [row["control_kept"] for row in rows] == ["true"] * 11 + ["false"] * 10
    assert rows[10]["rouge"] == "0.5"


@pytest.mark.parametrize("dtype", ["auto", "float16"])
def test_a_folder_gets_all_that_was_measured(place, capsys, dtype):
    evaluate = command("result['loss'] = float('nan')")
    more = ("--search", "fewer", "--dtype", dtype)
    assert run(capsys, *more, base="base", output="out", evaluate=evaluate)[0] == 0
    names = {path.name for path in Path("out").iterdir()}
    assert names >= {"config.json", "README.md", "evaluations.csv"}
    # In another dtype than the others', the base could not be compared with them.
    own = place / "base" if dtype == "auto" else place / ".out.evaluating" / "0"
    assert calls()[:2] == [(0, str(own)), (0.5, str(place / ".out.evaluating" / "0.5"))]
    assert len(calls()) == 6
    assert "rouge,loss" in Path("out/evaluations.csv").read_text()
    evaluation = read_json("out/negmerge.json")["evaluation"]
    assert (evaluation["command"], evaluation["keep"]) == (evaluate, 0.95)
    assert (evaluation["search"], evaluation["grid"]) == ("fewer", GRID)
    assert (evaluation["forget_falls"], evaluation["upper_end"]) == (True, False)
    assert "| **0.5** | **0.5** | **0.475** |" in Path("out/README.md").read_text()
    assert left() == []


def test_a_search_that_is_killed_goes_on(capsys):
    evaluate = command(
        "if c > 0.2 and not os.path.exists('killed'):\n"
        "    open('killed', 'w').close()\n"
        "    os.kill(os.getppid(), 9)\n"
        "    time.sleep(0.1)\n"
    )
    more = ("--coefficients", "0:0.5:0.1")
    program = "import sys; from negmerge.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", program, *words_of(*more, evaluate=evaluate)]
    assert subprocess.run(words, capture_output=True).returncode == -signal.SIGKILL
    assert not Path("out.safetensors").exists()
    assert run(capsys, *more, evaluate=evaluate)[0] == 0
    assert [c for c, _ in calls()] == [0, 0.1, 0.2, 0.3, 0.3, 0.4, 0.5]
    assert len(Path("out.evaluations.csv").read_text().splitlines()) == 1 + 6
    assert left() == []


def test_another_grid_takes_over_what_was_measured_and_other_inputs_do_not(capsys):
    nothing = ("--keep", "1", "--coefficients", "0:0.4:0.2")
    assert "not written: no coefficient up to 0.4" in error(capsys, *nothing)
    assert run(capsys, "--coefficients", "0:0.4:0.1")[0] == 0
    assert [c for c, _ in calls()] == [0, 0.2, 0.4, 0.1, 0.3]
    for name in ("calls", "out.safetensors"):
        Path(name).unlink()
    error(capsys, *nothing)
    save_file({"w": torch.tensor([2.0, 3.0, 4.0]), "n": torch.tensor(5)}, "b")
    status, _, err = run(capsys, "--coefficients", "0:0.4:0.2")
    assert status == 0
    assert ".out.safetensors.evaluating: was of other inputs or another command" in err
    assert [c for c, _ in calls()] == [0, 0.2, 0.4] * 2


def test_a_command_that_fails_ends_in_one_line(capsys):
    for number, (special, message) in enumerate(
        (
            ("sys.stderr.write('a\\n  no memory left\\n\\n'); sys.exit(3)", "3: no memory left"),
            ("print('forget=0.4'); sys.exit()", "'forget=0.4', expected JSON such as {"),
            ("del result['control']", "found {'forget': 0.8"),
            ("result['forget'] = float('inf')", "'forget' is 'Infinity', expected"),
        ),
        start=1,
    ):
        assert message in error(capsys, evaluate=command(special))
        assert len(calls()) == number


def test_a_command_that_hangs_is_stopped_with_all_that_it_started(capsys):
    # Whoever holds the other end of a pipe that is closed has ended.
    evaluate = command(
        "pipe = os.open('alive', os.O_WRONLY)\n"
        "subprocess.Popen(['sleep', '60'], pass_fds=[pipe])\n"
        "time.sleep(60)"
    )
    os.mkfifo("alive")
    alive = os.open("alive", os.O_RDONLY | os.O_NONBLOCK)
    line = error(capsys, "--timeout", "2", evaluate=evaluate)
    assert "coefficient 0: did not end within 2 s" in line
    os.set_blocking(alive, True)
    assert os.read(alive, 1) == b""
    os.close(alive)


def test_wrong_words_are_refused_before_anything_is_merged(capsys):
    assert "expected {model}" in error(capsys, evaluate="python my_eval.py")
    assert "No closing quotation" in error(capsys, evaluate="python 'my_eval.py {model}")
    Path("base.old").write_text("precious")
    status, _, err = run(capsys, output="base.old")
    assert (status, err) == (1, "error: base.old: exists already; --force overwrites it\n")
    words = ["unlearn", "base", "a", "b", "-o", "out", "--coefficient", "1", "--keep", "0.9"]
    assert main(words) == 1
    assert "--keep goes with --evaluate" in capsys.readouterr().err
    assert left() == []
