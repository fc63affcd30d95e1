"""A training job that a scheduler ends goes on where it was, and leaves the same bytes."""

import os
import signal
import time

FOLDER = "results/tiny/clip"


def wait_for(found, what, seconds=300.0):
    """Look again and again until something is there."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def test_a_terminated_job_goes_on_to_the_same_bytes(editable):
    outputs = [editable.folder / FOLDER / f"{name}.safetensors" for name in ("base", "text")]
    log = editable.folder / "results/tiny/logs/base/clip.log"
    state = outputs[0].with_name(".base.state.pt")
    expected = [path.read_bytes() for path in outputs]
    log.unlink()
    for path in outputs:
        path.unlink()

    run = editable.start("--cores", "1", "--", f"{FOLDER}/base.safetensors")
    wait_for(lambda: log.exists() and "step 1/" in log.read_text(), "the first step")
    # As a scheduler does: to Snakemake and to its job.
    os.killpg(run.pid, signal.SIGTERM)
    assert run.wait(300) != 0
    stopped = log.read_text()
    assert "error: stopped by SIGTERM after step " in stopped
    assert "its state is saved, run again to continue" in stopped
    assert not any(path.exists() for path in outputs)
    assert state.exists()

    editable.snakemake("--unlock", "--", f"{FOLDER}/base.safetensors")
    editable.make(f"{FOLDER}/base.safetensors")
    done = stopped.partition("stopped by SIGTERM after step ")[2].partition(" of ")[0]
    assert log.read_text().startswith(f"continuing after step {done} of ")
    assert [path.read_bytes() for path in outputs] == expected
    assert not state.exists()
