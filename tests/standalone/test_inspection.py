"""What `negmerge inspect` finds in a pool, as numbers, as a table and as a figure."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from merge_examples import pools, saved
from negmerge.cli import main
from negmerge.standalone import inspection
from negmerge.standalone.inspection import cosines, inspect_files, kind, outliers


def run(capsys, *words):
    """Run the command; give its exit status and what it printed."""
    status = main(["inspect", *(str(word) for word in words)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.fixture
def vectors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = {"l.w": [[3.0, 0, 1], [1, -1, 2]], "l.bias": [0.0, 0], "scale": 2.0}
    other = {"l.w": [[4.0, 1, -1], [0, -1, 2]], "l.bias": [0.0, 1], "scale": -2.0}
    for name, vector in {"first": first, "other": other}.items():
        save_file({name: torch.tensor(values) for name, values in vector.items()}, name)


def test_a_pool_is_inspected_by_layer_kind_and_member(vectors, capsys):
    status, out, err = run(capsys, "first", "other", "--json")
    assert (status, err) == (0, "")
    report = json.loads(out)
    # l.w: 3 of 6 agree, 2 of 12 are zero; l.bias: none agree, 3 of 4 are zero.
    lengths = (9 + 1 + 1 + 1 + 4) * (16 + 1 + 1 + 1 + 4 + 1)
    layer = {"numbers": 8, "agree": 3 / 8, "zeros": 5 / 16, "cosine": 16 / lengths**0.5}
    scale = {"numbers": 1, "agree": 0, "zeros": 0, "cosine": -1}
    assert [row.pop("kind") for row in report["layers"].values()] == ["w", "scale"]
    assert report["layers"] == {"l": pytest.approx(layer), "scale": pytest.approx(scale)}
    assert list(report["kinds"]) == ["bias", "scale", "w"]
    bias = {"numbers": 2, "agree": 0, "zeros": 3 / 4, "cosine": None}
    assert (report["kinds"]["scale"], report["kinds"]["bias"]) == (report["layers"]["scale"], bias)
    cosine = (16 - 4) / ((16 + 4) * (24 + 4)) ** 0.5
    whole = {"numbers": 9, "agree": 3 / 9, "zeros": 5 / 18, "cosine": cosine}
    assert (report["all"], report["chance"]) == (pytest.approx(whole), 0.5)
    first = {"name": "first", "norm": 20**0.5, "cosine": cosine, "lowest": cosine, "outlier": False}
    assert report["members"][0] == pytest.approx(first)

    status, out, err = run(capsys, "first", "other")
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["l", "8", "37.50%", "0.75", "31.2%", "0.8165"] in lines
    assert ["bias", "2", "0.00%", "0", "75.0%", "-"] in lines
    assert ["1", "first", "4.472", "0.5071", "0.5071"] in lines
    assert "2 vectors of 9 numbers, of which 27.78% are zero" in out


def test_what_there_is_nothing_of_is_left_open(vectors):
    save_file({"w": torch.zeros(3), "none.w": torch.zeros(0)}, "zeros")
    report = inspect_files(["zeros", "zeros"])
    nothing = {"numbers": 0, "agree": None, "zeros": None, "cosine": None}
    assert (report["all"], report["untouched"], report["layers"]) == (nothing, 3, {})
    assert (report["cosines"], report["members"][0]["lowest"]) == ([[None, None]] * 2, None)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    alone = inspect_files(["first"])
    assert (alone["all"]["cosine"], alone["members"][0]["cosine"]) == (None, None)


@given(pools(), st.integers(1, 3))
def test_neither_blocks_nor_threads_change_a_number(tmp_path_factory, pool, threads):
    paths = saved(pool, tmp_path_factory.mktemp("pool"))
    expected = inspect_files(paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspection, "NUMBERS", 3)
        report = inspect_files(paths, threads=threads)
    for key in ("layers", "kinds"):
        for name, row in expected[key].items():
            assert report[key][name] == pytest.approx(row, rel=1e-9, abs=1e-12)


def test_a_member_of_another_pool_is_named_in_a_table_that_fits_and_a_figure(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    torch.manual_seed(0)
    names = [f"vision_model.encoder.layers.{number}.mlp.fc1.weight" for number in (10, 2, 1)]
    base = {name: torch.randn(40, 50) for name in names}
    common = {name: torch.randn(40, 50) for name in names}
    save_file(base, "base")
    for number in range(1, 6):
        Path(f"rank-{number}").mkdir()
        moved = {
            name: tensor + (common[name] if number != 3 else 0) + 0.3 * torch.randn(40, 50)
            for name, tensor in base.items()
        }
        save_file(moved, f"rank-{number}/model.safetensors")
    pool = [f"rank-{number}/model.safetensors" for number in range(1, 6)]
    status, out, _ = run(capsys, *pool, "--base", "base", "--plot", "made/pool.png")
    lines = out.splitlines()
    assert status == 0
    assert lines[-1].startswith("member 3 does not seem to be of this pool: its mean cosine")
    marked = [line.split()[:2] for line in lines if line.endswith("unlike")]
    assert marked == [["3", "rank-3/model.safetensors"]]
    assert list(inspect_files(pool, "base")["layers"]) == [
        f"vision_model.encoder.layers.{number}.mlp.fc1" for number in (1, 2, 10)
    ]
    assert max(map(len, lines[: lines.index("", 6)])) <= 80
    picture = Path("made/pool.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    run(capsys, *pool, "--base", "base", "--plot", "made/pool.png")
    assert Path("made/pool.png").read_bytes() == picture


def test_a_figure_that_cannot_be_drawn_is_refused_at_once(vectors, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name, message in (("pool.jpg", ".png or .pdf"), ("pool.png", "'negmerge[plot]'")):
        status, out, err = run(capsys, "first", "none", "--plot", name)
        assert (status, out) == (1, "")
        assert err.startswith(f"error: {name}: ")
        assert message in err


def matrix_of(vectors):
    wide = torch.stack(vectors).double()
    return cosines(wide @ wide.T)


def honest(seed, count, alike=0.5, numbers=2000):
    """Vectors with a part in common of at least `alike`, and of different sizes, as in a grid."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(numbers, generator=generator)
    shares = alike + (1 - alike) * torch.rand(count, generator=generator)
    sizes = 10 ** torch.randn(count, generator=generator)
    own = torch.randn(count, numbers, generator=generator)
    return [
        size * (share * common + math.sqrt(1 - share**2) * noise)
        for size, share, noise in zip(sizes, shares, own, strict=True)
    ]


def foreign(seed, size=1.0, numbers=2000):
    return size * torch.randn(numbers, generator=torch.Generator().manual_seed(seed + 1_000_000))


@given(
    st.integers(0, 10_000), st.integers(3, 30), st.sampled_from([0.6, 0.95]), st.floats(1e-3, 1e3)
)
def test_a_foreign_member_is_found_and_no_other(seed, count, alike, size):
    vectors = honest(seed, count, alike)
    assert outliers(matrix_of(vectors)) == []
    place = seed % (count + 1)
    vectors.insert(place, foreign(seed, size))
    assert outliers(matrix_of(vectors)) == [place]


def test_a_pool_of_strangers_has_no_outlier_and_one_may_point_the_other_way_or_nowhere():
    vectors = honest(0, 6)
    assert outliers(matrix_of([torch.zeros(2000), *vectors, -vectors[0]])) == [0, 7]
    assert outliers(matrix_of([foreign(member) for member in range(8)])) == []


# Names of tensors as they are in models of the libraries.
NAMES = {
    "model.layers.3.self_attn.q_proj.weight": "attention",
    "visual.transformer.resblocks.0.attn.in_proj_weight": "attention",
    "model.layers.3.mlp.gate_proj.weight": "mlp",
    "bert.encoder.layer.0.output.dense.weight": "mlp",
    "transformer.h.0.ln_1.bias": "norm",
    "transformer.wte.weight": "embedding",
    "lm_head.weight": "head",
    "model.layers.3.self_attn.q_proj.bias": "bias",
    "visual.conv1.weight": "convolution",
    "logit_scale": "logit_scale",
}


def test_a_tensor_has_the_kind_that_its_name_or_shape_tells():
    assert {name: kind(name, (4, 4)) for name in NAMES} == NAMES
    assert kind("features.0.weight", (8, 3, 3, 3)) == "convolution"
