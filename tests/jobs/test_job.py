import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SCRIPT = """
import errno, os, sys
sys.path.insert(0, {tests!r})
from job_examples import BASES
from negmerge.errors import UserError
from negmerge.jobs.job import job
from negmerge.jobs.provenance import find_record

BASES.wildcards.entries["experiment"] = "clip"
with job(BASES) as provenance:
    print("from Python")
    os.write(2, b"from C\\n")
    {step}
"""
LOG = "results/small/logs/base/clip.log"
IMAGES = "data/cats/images.safetensors"
WRITE = "[open(path, 'w').write('x') for path in BASES.output]"


@pytest.fixture
def folder(tmp_path):
    """A folder with the input of a job and the log of its last run."""
    for place in (LOG, IMAGES, "results/small/clip/base.safetensors"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    log = tmp_path / LOG
    log.write_text("a longer log of the run before this one, which must go\n" * 5)
    (tmp_path / IMAGES).write_text("images")
    return tmp_path


def run(folder, step):
    command = [sys.executable, "-c", SCRIPT.format(step=step, tests=str(TESTS))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.stdout == ""
    return done, (folder / LOG).read_text()


def test_all_output_goes_to_the_log(folder):
    done, log = run(folder, WRITE)
    assert (done.returncode, done.stderr) == (0, "")
    assert log == "from Python\nfrom C\n"
    records = folder / "results/small/provenance/clip"
    assert {path.stem for path in records.iterdir()} == {"base.safetensors", "text.safetensors"}


def test_a_mistake_of_the_user_s_is_one_line(folder):
    done, log = run(folder, "raise UserError('x.csv: not a sweep')")
    assert done.returncode == 1
    assert log == "from Python\nfrom C\nerror: x.csv: not a sweep\n"


@pytest.mark.parametrize("step", ["1 / 0", "sys.exit(3)"])
def test_other_errors_pass(folder, step):
    done, log = run(folder, step)
    assert done.returncode == (1 if step == "1 / 0" else 3)
    assert ("ZeroDivisionError" in log) == (step == "1 / 0")
    assert not (folder / "results/small/provenance").exists()


@pytest.mark.parametrize(
    ("number", "advice"), [("ENOSPC", "make room"), ("EROFS", "make the place writable")]
)
def test_a_place_that_cannot_be_written_is_named(folder, number, advice):
    number = f"errno.{number}"
    step = f"raise OSError({number}, os.strerror({number}), 'results/small/x.json')"
    done, log = run(folder, step)
    assert done.returncode == 1
    (line,) = log.splitlines()[2:]
    assert line.startswith("error: results/small/x.json: cannot be written: ")
    assert line.endswith(f"; {advice} and run again")


def test_an_error_of_the_system_that_nobody_can_mend_keeps_its_traceback(folder):
    assert "Traceback" in run(folder, "os.stat('none')")[1]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device without room")
def test_a_log_without_room_is_named_on_the_terminal(folder):
    (folder / LOG).unlink()
    (folder / LOG).symlink_to("/dev/full")
    command = [sys.executable, "-c", SCRIPT.format(step=WRITE, tests=str(TESTS))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    line = done.stderr.splitlines()[0]
    assert line == (
        f"error: {LOG}: cannot be written: No space left on device; make room and run again"
    )


def test_a_damaged_input_is_found_before_the_step(folder):
    run(folder, WRITE)
    made = folder / "results/small/provenance/clip/base.safetensors.json"
    # The input becomes one that a job has made.
    place = folder / "data/provenance/cats/images.safetensors.json"
    place.parent.mkdir(parents=True)
    text = made.read_text().replace("results/small/clip/base.safetensors", IMAGES)
    place.write_text(text)
    done, log = run(folder, "print('the step')")
    assert done.returncode == 1
    assert log.startswith(f"error: {IMAGES}: not the file that base made: found 6 bytes")
    assert len(log.splitlines()) == 1
