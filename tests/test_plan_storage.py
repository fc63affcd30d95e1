"""What a study fetches and keeps."""

from dataclasses import replace

import pytest

from negmerge.planning.assumptions import load_assumptions
from negmerge.planning.jobs import Job
from negmerge.planning.layout import describe
from negmerge.planning.networks import Network
from negmerge.planning.storage import artefacts, downloads, largest_pool, spool, weights
from negmerge.settings.study import load_study

NETWORK = Network(
    size=224, parameters=10, state_bytes=1000, text_bytes=500, features=8, image_flops=1,
    prompt_flops=1, fetched=True,
)  # fmt: skip


def job(rule, *outputs, experiment="", task="", name=""):
    return Job(rule, outputs, True, f"{rule}/{name}.tsv", experiment, task, name)


def test_unknown_sizes_are_not_nothing(config, change_yaml, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = config / "datasets.yaml"
    whole = {"urls": ["https://example.org/"], "md5": "0" * 32}
    extras = {"bytes": 7}, {}, {"bytes": 9, "manual": "Ask. "}
    files = {str(n): whole | extra | {"name": f"{n}.zip"} for n, extra in enumerate(extras)}
    change_yaml(path, "digits/files", files)
    study = load_study(config, "example")
    place = "data/downloads/digits"
    jobs = [job("download", f"{place}/{n}.zip", name=f"digits/{n}.zip") for n in range(3)]
    (row,) = downloads(jobs, study)
    assert row == {"dataset": "digits", "files": 3, "missing": 3, "bytes": 16, "unknown": 1,
                   "by_hand": {f"{place}/2.zip": "Ask."}}  # fmt: skip
    (kept,) = artefacts(jobs, study, {}, load_assumptions(config))
    expected = {"kind": "downloads", "files": 3, "dropped": 0}
    assert kept == expected | {"bytes": 16, "unknown": 1, "there": 0}
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "1.zip").write_bytes(b"12345")
    (row,) = downloads(jobs, study)
    assert (row["missing"], row["unknown"]) == (2, 0)
    (kept,) = artefacts(jobs, study, {}, load_assumptions(config))
    assert kept == expected | {"bytes": 21, "unknown": 0, "there": 5}


def test_states_are_counted_by_kind(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study, assumed = load_study(config, "example"), load_assumptions(config)
    folder = "results/example/mini-clip"
    jobs = [
        job("base", f"{folder}/base.safetensors", f"{folder}/text.safetensors",
            experiment="mini-clip"),
        job("head", f"{folder}/heads/digits.safetensors", experiment="mini-clip", name="digits"),
        job("vector", f"{folder}/digits/vectors/a.safetensors", experiment="mini-clip"),
        job("vector", f"{folder}/digits/vectors/b.safetensors", experiment="mini-clip"),
        job("sweep", f"{folder}/digits/sweeps/a.csv", experiment="mini-clip"),
        job("prepare", "data/digits/images.safetensors", name="digits"),
    ]  # fmt: skip
    found = {row["kind"]: row for row in artefacts(jobs, study, {"mini-clip": NETWORK}, assumed)}
    assert found["vectors"]["bytes"] == 2000
    assert found["bases and heads"]["bytes"] == 1000 + 500 + 4 * 10 * 8
    prepared = assumed.image_bytes["digits"].value * (200 + 1200 + 397)
    assert found["prepared data"]["bytes"] == prepared == spool(jobs, study, assumed)
    assert set(found) == {"vectors", "bases and heads", "prepared data"}
    assert weights(jobs, study, {"mini-clip": NETWORK}) == {"mini-clip": 1500}
    unknown = assumed.model_copy(update={"image_bytes": {}})
    (row,) = artefacts(jobs[-1:], study, {}, unknown)
    assert (row["bytes"], row["unknown"]) == (0, 1)
    assert spool(jobs, study, unknown) is None


@pytest.fixture
def pool():
    """The jobs of two pools of two and three vectors, each with its merge, and their base."""
    folder = "results/example/mini-clip"
    made = [job("base", f"{folder}/base.safetensors", experiment="mini-clip")]
    for task, size in (("digits", 2), ("letters", 3)):
        names = [f"m{number}" for number in range(size)]
        for rule, kind, own in (
            ("finetune", "finetuned", names), ("vector", "vectors", names),
            ("merge", "merged", ["negmerge"]), ("negate", "unlearned", ["negmerge"]),
        ):  # fmt: skip
            made += [
                job(rule, f"{folder}/{task}/{kind}/{name}.safetensors", experiment="mini-clip",
                    task=task, name=name)
                for name in own
            ]  # fmt: skip
    return made


def test_checkpoints_stay_or_go_as_the_configuration_says(config, pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study, assumed = load_study(config, "example"), load_assumptions(config)
    networks = {"mini-clip": NETWORK}
    stay = artefacts(pool, study, networks, assumed)
    go = artefacts(pool, study, networks, assumed, "needed")
    assert [row | {"dropped": 0} for row in go] == stay
    assert not any(row["dropped"] for row in stay)
    dropped = {row["kind"]: row["dropped"] for row in go}
    assert dropped == {"finetuned": 5000, "vectors": 5000, "merged": 2000, "unlearned": 0,
                       "bases and heads": 0}  # fmt: skip
    assert largest_pool(pool, networks) == 3000
    done = [replace(one, pending=False) for one in pool]
    # What somebody asked for stays, too.
    assert {row["kind"] for row in artefacts(done, study, networks, assumed, "needed")} == {
        "bases and heads", "unlearned",
    }  # fmt: skip
    assert largest_pool(done, networks) == 0


@pytest.fixture
def plan(config):
    """A plan of two rules, of which little is known."""
    step = {
        "rule": "own", "jobs": 2, "to_do": 1, "unit": "cpu", "seconds_least": None,
        "seconds_mean": None, "seconds_most": None, "hours_all": 0, "hours_to_do": 0, "unknown": 2,
        "basis": [], "images": {}, "measured": None,
    }  # fmt: skip
    part = step | {"rule": "part", "unknown": 1, "seconds_least": 8.0, "seconds_most": 9.0,
                   "hours_all": 2.0, "hours_to_do": 1.0, "basis": ["x"]}  # fmt: skip
    row = {"dataset": "d", "files": 2, "missing": 2, "bytes": 0, "unknown": 2, "by_hand": {}}
    return {
        "study": "s", "targets": ["t"], "steps": [part, step], "device": "cpu",
        "hours": {"gpu": {"all": 0, "to_do": 0, "measured": 0},
                  "cpu": {"all": 2, "to_do": 1, "measured": 0}},
        "grids": {"jobs": 2, "models": 14, "hours": 1.5},
        "chain": {"jobs": [], "seconds": 0}, "downloads": [row], "weights": {},
        "disk": [{"kind": "downloads", "files": 2, "bytes": 0, "unknown": 2, "there": 0}],
        "peak": {"end": 0, "dropped": 0, "pool": 0, "spool": None}, "models": [],
        "assumptions": load_assumptions(config).model_dump(),
    }  # fmt: skip


def test_a_plan_says_what_is_unknown(plan):
    lines = [" ".join(line.split()) for line in describe(plan)]
    assert "part 2 1 8.0 to 9.0 > 2.0 > 1.0 CPU h" in lines
    assert "own 2 1 unknown unknown unknown CPU h" in lines
    assert "Not in these sums: 3 jobs of unknown time." in lines
    assert (
        "Of it for grids of methods that train: 1.5 h, since 2 jobs train up to 14 models instead "
        "of one each." in lines
    )
    assert "d 2 2 unknown" in lines
    assert any(line.startswith("At the end more than 0 GB. At peak unknown") for line in lines)


def test_a_plan_says_what_may_go(plan):
    plan["disk"] = [{"kind": "vectors", "files": 2, "bytes": 9e9, "unknown": 0, "there": 0}]
    plan["peak"] = {"end": 2e9, "dropped": 7e9, "pool": 4e9, "spool": 1e9}
    (line,) = (line for line in describe(plan) if line.startswith("At the end"))
    assert line.startswith("At the end 2.0 GB. At peak between 6.0 GB, ")
    assert "and 10.0 GB, if all checkpoints were there together" in line
