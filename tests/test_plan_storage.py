"""What a study fetches and keeps."""

from negmerge.planning.assumptions import load_assumptions
from negmerge.planning.jobs import Job
from negmerge.planning.layout import describe
from negmerge.planning.networks import Network
from negmerge.planning.storage import artefacts, downloads, spool, weights
from negmerge.study import load_study

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
    assert kept == {"kind": "downloads", "files": 3, "bytes": 16, "unknown": 1, "there": 0}
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "1.zip").write_bytes(b"12345")
    (row,) = downloads(jobs, study)
    assert (row["missing"], row["unknown"]) == (2, 0)
    (kept,) = artefacts(jobs, study, {}, load_assumptions(config))
    assert kept == {"kind": "downloads", "files": 3, "bytes": 21, "unknown": 0, "there": 5}


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


def test_a_plan_says_what_is_unknown(config):
    step = {
        "rule": "own", "jobs": 2, "to_do": 1, "unit": "cpu", "seconds_least": None,
        "seconds_mean": None, "seconds_most": None, "hours_all": 0, "hours_to_do": 0, "unknown": 2,
        "basis": [], "images": {}, "measured": None,
    }  # fmt: skip
    part = step | {"rule": "part", "unknown": 1, "seconds_least": 8.0, "seconds_most": 9.0,
                   "hours_all": 2.0, "hours_to_do": 1.0, "basis": ["x"]}  # fmt: skip
    row = {"dataset": "d", "files": 2, "missing": 2, "bytes": 0, "unknown": 2, "by_hand": {}}
    plan = {
        "study": "s", "targets": ["t"], "steps": [part, step], "device": "cpu",
        "hours": {"gpu": {"all": 0, "to_do": 0, "measured": 0},
                  "cpu": {"all": 2, "to_do": 1, "measured": 0}},
        "chain": {"jobs": [], "seconds": 0}, "downloads": [row], "weights": {},
        "disk": [{"kind": "downloads", "files": 2, "bytes": 0, "unknown": 2, "there": 0}],
        "peak": {"end": 0, "spool": None}, "models": [],
        "assumptions": load_assumptions(config).model_dump(),
    }  # fmt: skip
    lines = [" ".join(line.split()) for line in describe(plan)]
    assert "part 2 1 8.0 to 9.0 > 2.0 > 1.0 CPU h" in lines
    assert "own 2 1 unknown unknown unknown CPU h" in lines
    assert "Not in these sums: 3 jobs of unknown time." in lines
    assert "d 2 2 unknown" in lines
    assert any(line.startswith("At the end more than 0 GB. At peak unknown") for line in lines)
