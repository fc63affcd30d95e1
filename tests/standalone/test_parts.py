"""An output made in parts: the bytes of one job, whatever comes between."""

import shutil

import pytest
from model_folders import contents, save_pool

import negmerge
from negmerge.cli import main
from negmerge.errors import UserError
from negmerge.standalone import parts

SETTINGS = {"coefficient": 0.9, "max_shard_size": "0.05KB", "command": "negmerge unlearn ..."}


def unlearn(folders, out, **options):
    return negmerge.unlearn(folders[0], folders[1:], out, **SETTINGS | options)


@pytest.fixture
def folders(tmp_path):
    return save_pool(tmp_path / "models", shard_of=lambda name: len(name) % 3 + 1)[1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "ties"},
        {"method": "pcb"},
        {"method": "random-mask"},
        {"method": "dare", "by": "magnitude"},
        {"method": "masked-single", "single": 2},
    ],
    ids=lambda options: options.get("method"),
)
def test_parts_give_the_bytes_of_one_job(tmp_path, folders, options):
    whole = unlearn(folders, tmp_path / "whole", **options)
    if options:
        options = options | {"survey": tmp_path / "survey.json"}
        unlearn(folders, tmp_path / "out", part=(0, 4), **options)
    reports = [unlearn(folders, tmp_path / "out", part=(n, 4), **options) for n in (3, 1, 4, 2)]
    assert [report.get("missing") for report in reports] == [[1, 2, 4], [2, 4], [2], None]
    assert reports[-1] == whole
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not list(tmp_path.glob(".*"))


def test_each_input_is_checked_by_one_part(tmp_path, folders, monkeypatch):
    taken = []
    known = parts.Checksums.known
    monkeypatch.setattr(
        parts.Checksums, "known", lambda self: taken.extend(self._files) or known(self)
    )
    for number in (1, 2, 3, 4):
        unlearn(folders, tmp_path / "out", part=(number, 4))
    inputs = [path for folder in folders for path in folder.glob("*.safetensors")]
    assert sorted(taken) == sorted(inputs)
    assert len(inputs) == 12


@pytest.mark.parametrize("force", [False, True])
def test_jobs_that_end_at_once_do_no_harm(tmp_path, folders, monkeypatch, force):
    unlearn(folders, tmp_path / "whole")
    if force:
        unlearn(folders, tmp_path / "out", coefficient=0.5)
    unlearn(folders, tmp_path / "out", part=(1, 3), force=force)
    unlearn(folders, tmp_path / "out", part=(2, 3), force=force)
    complete, ended = parts.complete, []

    def overtaken(*words):
        complete(*words)
        if not ended:
            # Another job finds all parts and publishes just before this one does.
            ended.append(True)
            unlearn(folders, tmp_path / "out", part=(2, 3), force=force)

    monkeypatch.setattr(parts, "complete", overtaken)
    report = unlearn(folders, tmp_path / "out", part=(3, 3), force=force)
    assert report == unlearn(folders, tmp_path / "again")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not list(tmp_path.glob(".*"))


def test_any_part_puts_together_what_a_killed_one_did_not(tmp_path, folders, monkeypatch):
    unlearn(folders, tmp_path / "whole")
    unlearn(folders, tmp_path / "out", part=(1, 2))
    with monkeypatch.context() as patched:
        patched.delattr(parts, "complete")
        with pytest.raises(NameError):
            unlearn(folders, tmp_path / "out", part=(2, 2))
    assert not (tmp_path / "out").exists()
    unlearn(folders, tmp_path / "out", part=(1, 2))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coefficient": 0.5}, "1-of-2: was made with coefficient 0.9, expected 0.5; give all"),
        ({"part": (2, 3)}, "1-of-2: was made with parts 2, expected 3"),
        ({"exclude": ["bias"]}, "1-of-2: was made with exclude [], expected ['bias']"),
        ({"pool": 1}, "1-of-2: was made with pool [[["),
        ({"part": (2, 9)}, "9 parts are asked for, but there are 4 files of weights"),
        ({"part": (3, 2)}, "--part 3/2: the last part is 2/2"),
        ({"part": (0, 2)}, "NegMerge needs no survey"),
        ({"method": "ties"}, "TIES-Merging needs numbers of all vectors, which --survey FILE"),
        ({"method": "ties", "survey": "none"}, "none: no such survey"),
        ({"method": "ties", "survey": "taken", "density": 0.5}, "taken: was made with options {"),
        ({"method": "ties", "survey": "taken", "pool": 1}, "taken: was made with pool [[["),
        ({"output": "out.safetensors"}, "out.safetensors: is one file, which one job writes"),
        ({"adapter": 2}, "an adapter goes with neither --vector-only nor --dtype nor --part"),
        ({"push_to": "org/name"}, "--push-to org/name: uploads a folder that one job writes"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, folders, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    unlearn(folders, "out", part=(1, 2))
    if "taken" in options.values():
        unlearn(folders, "out", method="ties", survey="taken", part=(0, 2))
    given = {"part": (2, 2), "output": "out"} | options
    if "pool" in given:
        del given["pool"]
        folders[3] = save_pool(tmp_path / "others", count=4)[1][4].rename(folders[3] / "other")
    with pytest.raises(UserError) as caught:
        unlearn(folders, given.pop("output"), **given)
    assert message in str(caught.value)
    shutil.rmtree(".out.parts")
    assert not list(tmp_path.glob("out*"))


def test_the_command_of_the_card_names_no_part(tmp_path, folders, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["unlearn", *map(str, folders), "-o", "out", "--coefficient", "0.9", "--method", "ties"]
    words += ["--max-shard-size", "0.05KB"]
    assert main([*words, "--surv=my survey", "--part=0/2"]) == 0
    assert main([*words, "--part", "1/2", "--survey", "my survey"]) == 0
    assert main([*words, "--survey", "my survey", "--par", "2/2", "--threads", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "my survey: holds the survey of ties",
        "out: part 1 of 2 is written; missing: 2",
    ]
    in_parts = contents(tmp_path / "out")
    assert main([*words, "--force"]) == 0
    whole = contents(tmp_path / "out")
    for name in ("README.md", "negmerge.json"):
        whole[name] = whole[name].replace(b" --force", b"")
    assert in_parts == whole
