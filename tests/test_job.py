import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from types import SimpleNamespace
from negmerge.errors import UserError
from negmerge.job import job

with job(SimpleNamespace(log=[sys.argv[1]])):
    print("from Python")
    os.write(2, b"from C\\n")
    {step}
"""


def run(tmp_path, step):
    log = tmp_path / "job.log"
    log.write_text("a longer log of the run before this one, which must go\n" * 5)
    command = [sys.executable, "-c", SCRIPT.format(step=step), str(log)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == ""
    return done, log.read_text()


def test_all_output_goes_to_the_log(tmp_path):
    done, log = run(tmp_path, "pass")
    assert (done.returncode, done.stderr) == (0, "")
    assert log == "from Python\nfrom C\n"


def test_a_mistake_of_the_user_s_is_one_line(tmp_path):
    done, log = run(tmp_path, "raise UserError('x.csv: not a sweep')")
    assert done.returncode == 1
    assert log == "from Python\nfrom C\nerror: x.csv: not a sweep\n"


@pytest.mark.parametrize("step", ["1 / 0", "sys.exit(3)"])
def test_other_errors_pass(tmp_path, step):
    done, log = run(tmp_path, step)
    assert done.returncode == (1 if step == "1 / 0" else 3)
    assert ("ZeroDivisionError" in log) == (step == "1 / 0")
