"""A run that is cut short leaves nothing at its output, and the next one clears what it left."""

import errno
import os
import signal
import subprocess
import sys

import pytest
from model_folders import contents, save, save_pool

import negmerge
from negmerge.checkpoints import writer
from negmerge.errors import UserError
from negmerge.standalone.folder import working

SETTINGS = {"coefficient": 0.9, "max_shard_size": "0.1KB"}
# Ends itself when it is about to write the second block.
KILLED = """
import os, signal, sys
import negmerge
from negmerge.standalone.shards import Shards

write, blocks = Shards.write, []
def counted(*words):
    blocks.append(words)
    if len(blocks) > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*words)
Shards.write = counted
out, base, *pool = sys.argv[1:]
negmerge.unlearn(base, pool, out, SETTINGS)
"""


def unlearn(folders, out, **options):
    return negmerge.unlearn(folders[0], folders[1:], out, **SETTINGS | options)


def killed(folders, out, **options):
    code = KILLED.replace("SETTINGS", f"**{SETTINGS | options}")
    run = subprocess.run([sys.executable, "-c", code, *map(str, [out, *folders])])
    assert run.returncode == -signal.SIGKILL


@pytest.fixture
def folders(tmp_path):
    return save_pool(tmp_path / "models")[1]


def test_a_run_that_was_killed_leaves_nothing_that_stays(tmp_path, folders):
    unlearn(folders, tmp_path / "whole")
    killed(folders, tmp_path / "out", coefficient=0.5)
    assert not (tmp_path / "out").exists()
    assert (tmp_path / ".out.partial").exists()
    unlearn(folders, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not list(tmp_path.glob(".*"))


def test_a_part_that_was_killed_is_run_again_alone(tmp_path, folders):
    unlearn(folders, tmp_path / "whole")
    unlearn(folders, tmp_path / "out", part=(1, 2))
    other = tmp_path / ".out.parts" / "1-of-2"
    before = {path: path.stat().st_mtime_ns for path in other.iterdir()}
    killed(folders, tmp_path / "out", part=(2, 2))
    assert not (tmp_path / "out").exists()
    # The job of a part that is finished changes nothing.
    assert unlearn(folders, tmp_path / "out", part=(1, 2))["missing"] == [2]
    assert {path: path.stat().st_mtime_ns for path in other.iterdir()} == before
    unlearn(folders, tmp_path / "out", part=(2, 2))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_named_and_nothing_stays(tmp_path, folders, monkeypatch):
    def full(*words):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer.os, "posix_fallocate", full)
    with pytest.raises(UserError, match=f"^{tmp_path / 'out'}: .*No space left on device"):
        unlearn(folders, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_two_runs_do_not_write_one_output(tmp_path, folders):
    busy = pytest.raises(UserError, match="out: another process is writing it")
    with working(tmp_path / "out") as content, busy:
        unlearn(folders, tmp_path / "out")
        assert content.exists()


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
