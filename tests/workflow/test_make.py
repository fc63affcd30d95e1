"""What a person sees of `make`: at a terminal one bar, elsewhere lines, and how to go on."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

IMAGES = "resources/fashion-mnist/train-images-idx3-ubyte.gz"
MAKE = ["make", "-o", ".venv/.ready", f"BIN={Path(sys.executable).parent}", "STUDY=tiny"]
# One job, instead of the study.
ONE = ["CORES=1", "REPORT=data/fashion/images.safetensors"]
# A shell that starts the tests in the background has them ignore Ctrl-C. A program of its own
# undoes that: Python between fork and exec may wait for ever, since tests have threads.
START = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])
"""
# After so many seconds a command is taken to go on for ever.
PATIENCE = 300
# Of a make that runs these tests.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def make(checkout, *words):
    return subprocess.run(
        [*MAKE, *words], cwd=checkout.folder, env=ENVIRONMENT, capture_output=True, text=True
    )


class Terminal:
    """A terminal of 80 columns in which a command runs."""

    def __init__(self, folder, command):
        self.screen, inner = pty.openpty()
        termios.tcsetwinsize(inner, (24, 80))
        self.run = subprocess.Popen(
            [sys.executable, "-c", START, *command],
            cwd=folder,
            env=ENVIRONMENT | {"TERM": "xterm"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self.text = ""
        self.end = time.monotonic() + PATIENCE

    def read(self, until: str | None = None) -> str:
        """Return all that was printed so far, up to some words or to the end of the command."""
        while until is None or until not in self.text:
            left = max(0, self.end - time.monotonic())
            if not left or not select.select([self.screen], [], [], left)[0]:
                os.killpg(self.run.pid, signal.SIGKILL)
                pytest.fail(f"it goes on without an end: {self.text}")
            try:
                self.text += os.read(self.screen, 4096).decode(errors="replace")
            except OSError:  # the command has ended
                break
        return self.text


@pytest.fixture
def broken(checkout, tmp_path):
    """A workflow whose Fashion-MNIST cannot be read."""
    broken = checkout.copy(tmp_path / "workflow")
    path = broken.folder / IMAGES
    path.write_bytes(path.read_bytes()[:1000])
    return broken


def test_without_a_terminal_a_failed_job_shows_why_and_how_to_go_on(broken):
    run = make(broken, *ONE)
    assert run.returncode == 2
    lines = run.stderr.splitlines()
    begin = lines.index("jobs to do: 1")
    assert lines[begin + 1 : begin + 3] == [
        "FAILED prepare: fashion",
        "  the end of its log, data/logs/prepare/fashion.log:",
    ]
    assert lines[-4].startswith(f"    error: {IMAGES}: ")
    assert re.fullmatch(r"stopped: 0 of 1 jobs in \S+, 1 failed", lines[-3])
    assert lines[-2] == "to go on from there: make STUDY=tiny CORES=1"
    assert lines[-1].startswith("make: ***")
    *_, log = sorted((broken.folder / ".snakemake" / "log").iterdir())
    assert "Reason: Missing output files" in log.read_text(), "the log file keeps everything"


def test_at_a_terminal_there_is_a_bar_and_at_the_end_a_line(checkout, tmp_path):
    copy = checkout.copy(tmp_path / "workflow")
    targets = [f"data/{name}/images.safetensors" for name in ("digits", "tiny-fashion")]
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "negmerge", "--"]
    text = Terminal(copy.folder, [*command, *targets]).read()
    bars = re.findall(r"\r *(\d+)% \|[^\r]*?\| (\d) of 2 jobs \| [^\r]*", text)
    assert {("0", "0"), ("50", "1")} <= set(bars)
    assert re.search(r"1 of 2 jobs \| \d\d:\d\d, \d\d:\d\d left \| prepare: [\w-]+", text)
    assert max(len(line) for line in re.split(r"[\r\n]+", text) if " jobs | " in line) <= 80
    assert re.search(r"done: 2 of 2 jobs in \d\d:\d\d\r\n$", text)
    assert len(re.findall(r"\n", text)) == 2, "the bar stays on one line"


def test_ctrl_c_ends_a_run_without_noise(checkout, tmp_path):
    copy = checkout.copy(tmp_path / "workflow")
    terminal = Terminal(copy.folder, [*MAKE, *ONE])
    terminal.read(until=" left | prepare: ")
    while not (copy.folder / "data/logs/prepare/fashion.log").exists():
        assert terminal.run.poll() is None, terminal.read()
        time.sleep(0.05)
    os.killpg(terminal.run.pid, signal.SIGINT)
    text = terminal.read()
    assert "to go on from there: make STUDY=tiny CORES=1\r\n" in text
    assert "Traceback" not in text
    assert "FAILED" not in text
    assert list((copy.folder / ".snakemake" / "locks").glob("*")) == []


def test_a_finished_study_says_so_and_where_its_report_is(editable):
    summary = editable.folder / "results/tiny/summary.txt"
    summary.write_text("what the study found\n")
    run = make(editable)
    assert run.returncode == 0, run.stderr
    assert "Nothing to be done" in run.stderr
    assert run.stdout.splitlines()[-2:] == [
        "report: results/tiny/report.html",
        "what the study found",
    ]
