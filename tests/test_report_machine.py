"""`negmerge report-machine`: what an issue needs, and nothing about persons and places."""

import getpass
import json
import platform
from pathlib import Path

import pytest

from negmerge.cli import main

DRIVER = "NVIDIA H100, 81559 MiB, 570.1\\nNVIDIA H100, 81559 MiB, 570.1"


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """The only folder in which programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, text in {"conda": "echo conda 25.3.1", "docker": "exit 1"}.items():
        add(tmp_path, name, text)
    return tmp_path


def add(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def report(capsys) -> dict:
    assert main(["report-machine", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_has_what_decides_how_the_workflow_runs(programs, capsys):
    found = report(capsys)
    assert found["python"] == platform.python_version()
    assert {"negmerge", "snakemake", "torch", "open_clip_torch"} <= set(found["packages"])
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["memory_gib"] > 0
    assert found["programs"]["conda"] == "conda 25.3.1"
    # One that fails, and one that is not there.
    assert found["programs"]["docker"] is None
    assert found["programs"]["apptainer"] is None


def test_gpus_are_told_that_only_the_driver_sees(programs, capsys):
    assert report(capsys)["gpus"]["of_driver"] is None
    add(programs, "nvidia-smi", f"printf '{DRIVER}\\n'")
    assert report(capsys)["gpus"]["of_driver"] == DRIVER.replace("\\n", "; ")


def test_people_read_a_line_for_each_fact(programs, capsys):
    assert main(["report-machine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "programs conda: conda 25.3.1" in lines
    assert "programs docker: none" in lines
    assert f"python: {platform.python_version()}" in lines


def test_it_names_no_person_and_no_place(programs, capsys, monkeypatch):
    monkeypatch.setenv("LOGNAME", "adalovelace")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://user:word@hub.example.org")
    assert main(["report-machine"]) == 0
    text = capsys.readouterr().out
    assert getpass.getuser() == "adalovelace"
    facts = {line.partition(": ")[2] for line in text.splitlines()}
    assert platform.node() not in facts
    for hidden in ("adalovelace", "hf_secret", "example.org", str(Path.home()), str(programs)):
        assert hidden not in text
