"""`negmerge unlearn --evaluate`: the coefficient by a command of the user's."""

import csv
import shlex
import signal
import subprocess
import sys
import time
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


@pytest.fixture
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


def command(special="", more=""):
    Path("my eval.py").write_text(SCRIPT.replace("SPECIAL", special))
    return f"{shlex.quote(sys.executable)} -S 'my eval.py' {{model}} {more}".strip()


def run(capsys, *words, base="base.safetensors", output="out.safetensors", evaluate=None):
    """Run the command; give its exit status and what it printed."""
    words = ("unlearn", base, "a", "b", "-o", output, "--evaluate", evaluate or command(), *words)
    status = main([str(word) for word in words])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def error(capsys, *words, **how):
    """Run a command that fails; give the line that tells why."""
    status, out, err = run(capsys, *words, **how)
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


def rows(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


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
    assert output.keys() == expected.keys()
    assert all(torch.equal(output[name], expected[name]) for name in expected)
    found = rows("out.evaluations.csv")
    assert [float(row["coefficient"]) for row in found] == GRID
    assert [row["coefficient"] for row in found if row["chosen"] == "true"] == ["0.5"]
    assert [row["control_kept"] for row in found] == ["true"] * 11 + ["false"] * 10
    assert Path("out.evaluations.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("dtype", ["auto", "float16"])
def test_a_folder_gets_all_that_was_measured(place, capsys, dtype):
    words = ("--search", "fewer", "--dtype", dtype)
    evaluate = command()
    status, _, _ = run(capsys, *words, base="base", output="out", evaluate=evaluate)
    assert (status, len(calls())) == (0, 6)
    names = {path.name for path in Path("out").iterdir()}
    assert names >= {"config.json", "README.md", "evaluations.csv", "evaluations.png"}
    # In another dtype than the others', the base could not be compared with them.
    own = str(place / "base") if dtype == "auto" else str(place / ".out.evaluating" / "0")
    assert calls()[0] == (0, own)
    assert calls()[1] == (0.5, str(place / ".out.evaluating" / "0.5"))
    evaluation = read_json("out/negmerge.json")["evaluation"]
    assert evaluation["command"] == evaluate
    assert (evaluation["keep"], evaluation["search"], evaluation["grid"]) == (0.95, "fewer", GRID)
    assert (evaluation["forget_falls"], evaluation["upper_end"]) == (True, False)
    assert "| **0.5** | **" in Path("out/README.md").read_text()
    assert left() == []


def test_a_search_that_is_killed_goes_on(place, capsys):
    evaluate = command(
        "if c > 0.2 and not os.path.exists('killed'):\n"
        "    open('killed', 'w').close()\n"
        "    os.kill(os.getppid(), 9)\n"
        "    time.sleep(0.1)\n"
    )
    words = ["unlearn", "base.safetensors", "a", "b", "-o", "out.safetensors"]
    words += ["--evaluate", evaluate, "--coefficients", "0:0.5:0.1"]
    program = "import sys; from negmerge.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert not Path("out.safetensors").exists()
    # A line that was cut when the power went is measured again.
    kept = Path(".out.safetensors.evaluating/evaluations.jsonl")
    kept.write_text(kept.read_text()[:-5])
    assert run(capsys, *words[6:8], *words[8:], evaluate=evaluate)[0] == 0
    assert [c for c, _ in calls()] == [0, 0.1, 0.2, 0.3, 0.2, 0.3, 0.4, 0.5]
    assert [float(row["coefficient"]) for row in rows("out.evaluations.csv")] == [
        0, 0.1, 0.2, 0.3, 0.4, 0.5
    ]  # fmt: skip
    assert left() == []


def test_another_grid_takes_over_what_was_measured(place, capsys):
    assert "not written: no coefficient up to 0.4" in error(
        capsys, "--keep", "1", "--coefficients", "0:0.4:0.2"
    )
    assert run(capsys, "--coefficients", "0:0.4:0.1")[0] == 0
    assert [c for c, _ in calls()] == [0, 0.2, 0.4, 0.1, 0.3]
    # Other inputs, or another command, are measured anew.
    for name in ("calls", "out.safetensors"):
        Path(name).unlink()
    error(capsys, "--keep", "1", "--coefficients", "0:0.4:0.2")
    save_file({"w": torch.tensor([2.0, 3.0, 4.0]), "n": torch.tensor(5)}, "b")
    status, _, err = run(capsys, "--coefficients", "0:0.4:0.2")
    assert status == 0
    assert ".out.safetensors.evaluating: was of other inputs or another command" in err
    assert [c for c, _ in calls()] == [0, 0.2, 0.4] * 2


FAILURES = {
    "fails": ("sys.stderr.write('a\\n  no memory left\\n\\n'); sys.exit(3)",
              "3: no memory left"),
    "prints no JSON": ("print('forget=0.4'); sys.exit()",
                       "'forget=0.4', expected JSON such as {\"forget\": 0.41"),
    "lacks a key": ("del result['control']", "found {'forget': 0.8"),
}  # fmt: skip


@pytest.mark.parametrize(("special", "message"), FAILURES.values(), ids=FAILURES)
def test_a_command_that_fails_ends_in_one_line(place, capsys, special, message):
    assert message in error(capsys, evaluate=command(special))
    assert len(calls()) == 1


def test_a_command_that_hangs_is_stopped_with_all_that_it_started(place, capsys):
    evaluate = command(
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        "open('child', 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    assert "coefficient 0: did not end within 2 s" in error(
        capsys, "--timeout", "2", evaluate=evaluate
    )
    assert has_ended(int(Path("child").read_text()))


def has_ended(process):
    """Whether a process ends soon; one that nobody waits for stays as a zombie."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_wrong_words_are_refused_before_anything_is_merged(place, capsys):
    assert "expected {model}" in error(capsys, evaluate="python my_eval.py")
    assert "No closing quotation" in error(capsys, evaluate="python 'my_eval.py {model}")
    Path("base.old").write_text("precious")
    status, _, err = run(capsys, output="base.old")
    assert (status, err) == (1, "error: base.old: exists already; --force overwrites it\n")
    words = ["unlearn", "base", "a", "b", "-o", "out", "--coefficient", "1", "--keep", "0.9"]
    assert main(words) == 1
    assert "--keep goes with --evaluate" in capsys.readouterr().err
    assert left() == []


def test_without_matplotlib_there_is_no_figure(place, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, _, err = run(capsys, "--coefficients", "0:0.4:0.2")
    assert status == 0
    assert "note: no figure of the measurements: it needs matplotlib" in err
    assert Path("out.evaluations.csv").exists()
    assert not Path("out.evaluations.png").exists()
