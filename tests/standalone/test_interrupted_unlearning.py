"""A run that is cut short leaves nothing at its output, and the next one goes on."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from model_folders import read, save, save_pool

import negmerge
from negmerge.checkpoints import writer
from negmerge.errors import UserError
from negmerge.standalone import working
from negmerge.standalone.shards import Rounding

PROCESS = Path(__file__).with_name("unlearn_process.py")
SIZE = "200B"


def unlearn(folders, out, **options):
    settings = {"coefficient": 0.9, "max_shard_size": SIZE, "method": "ties"} | options
    return negmerge.unlearn(folders[0], folders[1:], out, **settings)


def killed(folders, out, blocks):
    words = [PROCESS, blocks, out, SIZE, 0.9, *folders]
    run = subprocess.run([sys.executable, *map(str, words)])
    assert run.returncode == -signal.SIGKILL


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stop_before(monkeypatch, number):
    """Interrupt a run when it is about to write a block."""
    store, seen = Rounding._store, []

    def interrupt(self, block, result):
        seen.append(block)
        if len(seen) > number:
            raise KeyboardInterrupt
        return store(self, block, result)

    monkeypatch.setattr(Rounding, "_store", interrupt)


@pytest.fixture
def folders(tmp_path):
    return save_pool(tmp_path / "models")[1]


@pytest.fixture
def stored(monkeypatch):
    """The tensors that are written after a merge, as they come."""
    names = []
    store = Rounding._store

    def note(self, block, result):
        names.append(block.name)
        return store(self, block, result)

    monkeypatch.setattr(Rounding, "_store", note)
    return names


def test_a_run_that_was_killed_goes_on_with_the_next_shard(tmp_path, folders, stored):
    report = unlearn(folders, tmp_path / "whole")
    everything = [*stored]
    assert len(everything) == 4
    killed(folders, tmp_path / "out", 2)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / ".out.partial").exists()
    stored.clear()
    again = unlearn(folders, tmp_path / "out")
    assert 0 < len(stored) < len(everything)
    assert stored == everything[-len(stored) :]
    assert again == report
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("change", ["coefficient", "input", "shards"])
def test_another_run_begins_afresh(tmp_path, folders, stored, monkeypatch, change):
    with monkeypatch.context() as patch:
        stop_before(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            unlearn(folders, tmp_path / "out")
    assert (tmp_path / ".out.partial").exists()
    stored.clear()
    options = {"coefficient": {"coefficient": 0.5}, "shards": {"max_shard_size": "250B"}}
    if change == "input":
        os.utime(folders[1] / "model.safetensors", ns=(1, 1))
    unlearn(folders, tmp_path / "out", **options.get(change, {}))
    assert len(stored) == 4
    unlearn(folders, tmp_path / "whole", **options.get(change, {}))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_full_disk_is_named_and_the_finished_shards_stay(tmp_path, folders, monkeypatch):
    unlearn(folders, tmp_path / "whole")
    allocate = os.posix_fallocate
    calls = []

    def full(*words):
        calls.append(words)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        allocate(*words)

    monkeypatch.setattr(writer.os, "posix_fallocate", full)
    with pytest.raises(UserError) as caught:
        unlearn(folders, tmp_path / "out")
    assert str(caught.value) == (
        f"{tmp_path / 'out'}: cannot be written: No space left on device; make room and run again"
    )
    assert not (tmp_path / "out").exists()
    before = len(calls)
    unlearn(folders, tmp_path / "out")
    assert len(calls) - before == len(list((tmp_path / "out").glob("*.safetensors"))) - 2
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_room_is_asked_for_before_it_begins(tmp_path, folders, monkeypatch, stored):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(working.shutil, "disk_usage", lambda _: usage._replace(free=500))
    with pytest.raises(UserError) as caught:
        unlearn(folders, tmp_path / "out")
    assert str(caught.value) == (
        f"{tmp_path / 'out'}: needs 1.0 MB, the disk has 0.0 MB free; make room and run again"
    )
    assert not stored
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_two_runs_do_not_write_one_output(tmp_path, folders):
    with working.working(tmp_path / "out", {}), pytest.raises(UserError) as caught:
        unlearn(folders, tmp_path / "out")
    assert str(caught.value) == f"{tmp_path / 'out'}: another process is writing it"


def test_an_output_that_exists_is_replaced_only_by_force(tmp_path, folders):
    unlearn(folders, tmp_path / "out", coefficient=0.5)
    before = contents(tmp_path / "out")
    with pytest.raises(UserError) as caught:
        unlearn(folders, tmp_path / "out")
    assert str(caught.value) == f"{tmp_path / 'out'}: exists already; --force overwrites it"
    assert contents(tmp_path / "out") == before
    unlearn(folders, tmp_path / "out", force=True)
    unlearn(folders, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    unlearn(folders, tmp_path / "whole", force=True, vector_only=True)
    assert read(tmp_path / "whole").keys() < read(tmp_path / "out").keys()


def test_a_folder_of_others_is_not_replaced(tmp_path, folders):
    save({}, tmp_path / "precious")
    with pytest.raises(UserError, match=r": a folder that negmerge did not write, which --force"):
        unlearn(folders, tmp_path / "precious", force=True)
    with pytest.raises(UserError, match=r": holds the input model\.safetensors; choose another"):
        unlearn(folders, folders[1], force=True)
    assert contents(folders[1])
