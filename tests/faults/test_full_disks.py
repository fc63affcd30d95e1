"""A disk that is full or read-only ends a run in one line, and nothing is lost."""

import os
import subprocess
from contextlib import contextmanager

import pytest

IMAGES = "data/tiny-fashion/images.safetensors"


def mount(*words):
    return subprocess.run(["mount", *map(str, words)], capture_output=True).returncode == 0


@pytest.fixture
def fresh(checkout, tmp_path):
    """A copy of the workflow before any run, with folders for data and results."""
    copy = checkout.copy(tmp_path / "workflow")
    for name in ("data", "results"):
        (copy.folder / name).mkdir(exist_ok=True)
    return copy


@contextmanager
def read_only(folder):
    """Make a folder read-only, for root as well, whom rights do not stop."""
    if os.geteuid():
        folder.chmod(0o555)
        yield "Permission denied"
        folder.chmod(0o755)
        return
    if not (mount("--bind", folder, folder) and mount("-o", "remount,bind,ro", folder)):
        pytest.skip("this root cannot mount")
    yield "Read-only file system"
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", ["data", "results"])
def test_a_read_only_folder_is_named_before_any_job(fresh, name):
    with read_only(fresh.folder / name) as reason:
        # What would run can still be asked.
        assert fresh.planned(IMAGES) == {"prepare: tiny-fashion"}
        run = fresh.snakemake("--cores", "1", "--", IMAGES)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        f"error: {name}: cannot be written: {reason}; make the place writable and run again"
    )
    assert "Traceback" not in run.stderr
    run = fresh.snakemake("--cores", "1", "--", IMAGES)
    assert run.returncode == 0, run.stderr


def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(fresh, finished):
    data = fresh.folder / "data"
    if os.geteuid() or not mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", data):
        pytest.skip("only root can mount a small disk")
    try:
        run = fresh.snakemake("--cores", "1", "--", IMAGES)
        assert run.returncode == 1
        assert (
            f"\nerror: {IMAGES}: cannot be written: No space left on device; make room and run "
            "again\n"
        ) in run.stderr
        assert "Traceback" not in run.stderr
        assert mount("-o", "remount,size=10m", data)
        run = fresh.snakemake("--cores", "1", "--", IMAGES)
        assert run.returncode == 0, run.stderr
        assert (fresh.folder / IMAGES).read_bytes() == (finished.folder / IMAGES).read_bytes()
    finally:
        subprocess.run(["umount", str(data)], check=True)
