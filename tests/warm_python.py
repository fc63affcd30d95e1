"""A Python that has loaded the large packages, from which tests fork Snakemake and its jobs.

A job of a small study computes for a second, and loads torch, timm and others for four. So tests
that run many jobs start them here: `tests/conftest.py` starts the server, which loads at its first
question, and `PYTHON` of `tiny_study.py` asks it. Jobs load the library from their own checkout.

What differs: a job has packages that it did not import itself, the hash seed of the server, and a
`benchmark` that does not see it. Runs that tests stop or kill, tests/conda, jobs on tests/cluster
and the demo start a Python of their own.
"""

import atexit
import gc
import json
import os
import signal
import socket
import sys

PLACE = "WARM_PYTHON"  # the variable that holds the folder of the socket and of the command
LOADED = (
    "captum.attr", "jinja2", "matplotlib.pyplot", "open_clip", "pandas", "peft", "PIL.Image",
    "requests", "safetensors.torch", "scipy.stats", "sklearn.linear_model", "sklearn.svm",
    "snakemake.cli", "timm", "torch._dynamo", "torchvision.transforms", "tqdm",
    "transformers.models.llama.modeling_llama", "yaml",
)  # fmt: skip
# The command in the place of Python: other uses than a script or a module are the real one's.
COMMAND = """#!/bin/sh
case "$1" in -m|*.py) exec {python} -I -S {file} ask {folder} "$@" ;; esac
exec {python} "$@"
"""


def start() -> None:
    """Start the server, until this process ends, and name its folder in the environment."""
    import shutil
    import subprocess
    import tempfile
    from pathlib import Path

    folder = Path(tempfile.mkdtemp(prefix="warm-python-"))
    command = folder / "python"
    command.write_text(COMMAND.format(python=sys.executable, file=__file__, folder=folder))
    command.chmod(0o755)
    os.environ[PLACE] = str(folder)
    server = subprocess.Popen(
        [sys.executable, "-I", __file__, "serve", str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.kill)


def command() -> str:
    """Return what to run in the place of Python."""
    return f"{os.environ[PLACE]}/python" if PLACE in os.environ else sys.executable


def send(channel: socket.socket, value: object, files: tuple[int, ...] = ()) -> None:
    text = json.dumps(value).encode()
    socket.send_fds(channel, [len(text).to_bytes(4, "big")], files)
    channel.sendall(text)


def receive(channel: socket.socket) -> tuple:
    size, files, _, _ = socket.recv_fds(channel, 4, 3)
    left, text = int.from_bytes(size, "big"), b""
    while len(text) < left:
        text += channel.recv(left - len(text))
    return json.loads(text), files


def ask(folder: str, words: list[str]) -> None:
    """Have the server run a script or a module as this process, and end as it does."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(f"{folder}/socket")
        send(channel, [words, os.getcwd(), dict(os.environ), os.getpgrp()], (0, 1, 2))
        process, _ = receive(channel)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(process, number))
        status, _ = receive(channel)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


def serve(folder: str) -> list[str]:
    """Answer questions for ever; in the process that is to run its words, return them."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen(64)
        while True:
            channel, _ = listener.accept()
            if not gc.get_freeze_count():
                for name in LOADED:
                    __import__(name)
                gc.collect()
                gc.freeze()  # so that jobs do not go through all that is loaded, and copy it
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                (words, place, environment, group), files = receive(channel)
                process = os.fork()
                if process == 0:
                    channel.close()
                    become(place, environment, group, files)
                    return words
                send(channel, process)
                send(channel, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
                os._exit(0)
            channel.close()


def become(place: str, environment: dict, group: int, files: list[int]) -> None:
    """Take over the files, folder, variables and signals of the process that asks."""
    import random

    import numpy as np
    import torch

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.setpgid(0, group)
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = f"{environment[PLACE]}/python"
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    # Otherwise jobs would draw the same numbers where they have forgotten to set a seed.
    random.seed()
    np.random.seed()
    torch.seed()


def run(words: list[str]) -> int:
    """Run a script or a module as Python does, and return the exit status."""
    import runpy
    import threading
    import traceback

    status = 0
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            sys.path.insert(0, os.getcwd())
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = words
            sys.path.insert(0, os.path.dirname(words[0]))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    return status


if __name__ == "__main__":
    what, folder, *words = sys.argv[1:]
    if what == "ask":
        ask(folder, words)
    else:
        ended = run(serve(folder))
        sys.stdout.flush()
        os._exit(ended)  # Python would take what is loaded apart, which takes a second
