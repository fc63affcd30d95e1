"""The command as a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from negmerge import plugins

ROOT = plugins.PACKAGE.parents[2]


@pytest.mark.parametrize(
    "words",
    ["--help", "merge --help", "unlearn --help", "methods --help", "schema"],
)
def test_commands_without_numbers_do_not_load_torch(words):
    code = f"""
import sys
from negmerge.cli import main
try:
    main({words.split()!r})
finally:
    assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_command_is_installed(tmp_path):
    command = [str(Path(sys.executable).parent / "negmerge"), "merge", "uniform", "none", "-o", "x"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: none: no such file or folder; found here: nothing\n"


def test_a_reader_that_stops_early_is_no_error():
    code = "import sys; from negmerge.cli import main; sys.exit(main(['schema']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait() == 0
