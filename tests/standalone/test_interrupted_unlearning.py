"""A run that is cut short leaves nothing at its output, and the next one goes on."""

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest
from model_folders import save, save_pool

import negmerge
from negmerge.checkpoints import writer
from negmerge.errors import UserError
from negmerge.standalone import working
from negmerge.standalone.shards import Shards

SETTINGS = {"coefficient": 0.9, "max_shard_size": "200B", "method": "ties"}
# Ends itself when it is about to write the third block.
KILLED = """
import os, signal, sys
import negmerge
from negmerge.standalone.shards import Shards

write, blocks = Shards.write, []
def counted(*words):
    blocks.append(words)
    if len(blocks) > 2:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*words)
Shards.write = counted
out, base, *pool = sys.argv[1:]
negmerge.unlearn(base, pool, out, SETTINGS)
"""


def unlearn(folders, out, **options):
    return negmerge.unlearn(folders[0], folders[1:], out, **SETTINGS | options)


def killed(folders, out):
    code = KILLED.replace("SETTINGS", f"**{SETTINGS}")
    run = subprocess.run([sys.executable, "-c", code, *map(str, [out, *folders])])
    assert run.returncode == -signal.SIGKILL


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folders(tmp_path):
    return save_pool(tmp_path / "models")[1]


@pytest.fixture
def stored(monkeypatch):
    """The tensors that are written after a merge, as they come."""
    names = []
    write = Shards.write

    def note(self, name, start, numbers):
        names.append(name)
        write(self, name, start, numbers)

    monkeypatch.setattr(Shards, "write", note)
    return names


def test_a_run_that_was_killed_goes_on_with_the_next_shard(tmp_path, folders, stored):
    report = unlearn(folders, tmp_path / "whole")
    everything = [*stored]
    assert len(everything) == 4
    killed(folders, tmp_path / "out")
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
def test_another_run_begins_afresh(tmp_path, folders, stored, change):
    killed(folders, tmp_path / "out")
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
    with pytest.raises(UserError, match=f"^{tmp_path / 'out'}: .*No space left on device"):
        unlearn(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    before = len(calls)
    unlearn(folders, tmp_path / "out")
    assert len(calls) - before == len(list((tmp_path / "out").glob("*.safetensors"))) - 2
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_room_is_asked_for_before_it_begins(tmp_path, folders, monkeypatch, stored):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(working.shutil, "disk_usage", lambda _: usage._replace(free=500))
    with pytest.raises(UserError, match=f"^{tmp_path / 'out'}: needs 1.0 MB, .* 0.0 MB free"):
        unlearn(folders, tmp_path / "out")
    assert not stored
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_two_runs_do_not_write_one_output(tmp_path, folders):
    busy = pytest.raises(UserError, match="out: another process is writing it")
    with working.working(tmp_path / "out", {}), busy:
        unlearn(folders, tmp_path / "out")


def test_an_output_that_exists_is_replaced_only_by_force(tmp_path, folders):
    unlearn(folders, tmp_path / "out", coefficient=0.5)
    before = contents(tmp_path / "out")
    with pytest.raises(UserError, match="out: exists already; --force"):
        unlearn(folders, tmp_path / "out")
    assert contents(tmp_path / "out") == before
    unlearn(folders, tmp_path / "out", force=True)
    unlearn(folders, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    save({}, tmp_path / "precious")
    with pytest.raises(UserError, match=r": a folder that negmerge did not write, which --force"):
        unlearn(folders, tmp_path / "precious", force=True)
    with pytest.raises(UserError, match=r": holds the input model\.safetensors; choose another"):
        unlearn(folders, folders[1], force=True)
