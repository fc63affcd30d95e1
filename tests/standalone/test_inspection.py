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

from merge_examples import pools, random_pool, saved
from negmerge.cli import main
from negmerge.standalone import inspection
from negmerge.standalone.inspection import cosines, inspect_files, kind, outliers
from negmerge.standalone.inspection_report import describe


def run(capsys, *words):
    """Run the command; give its exit status and what it printed."""
    status = main(["inspect", *(str(word) for word in words)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.fixture
def vectors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    one = {"l.w": [[3.0, 0, 1], [1, -1, 2]], "l.bias": [0.0, 0], "scale": 2.0}
    other = {"l.w": [[4.0, 1, -1], [0, -1, 2]], "l.bias": [0.0, 1], "scale": -2.0}
    for name, vector in {"one": one, "other": other}.items():
        save_file({name: torch.tensor(values) for name, values in vector.items()}, name)


def test_a_pool_is_inspected_by_layer_and_kind(vectors, capsys):
    status, out, err = run(capsys, "one", "other", "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    # l.w: 3 of 6 agree, 2 of 12 are zero; l.bias: none agree, 3 of 4 are zero.
    lengths = (9 + 1 + 1 + 1 + 4) * (16 + 1 + 1 + 1 + 4 + 1)
    layer = {"numbers": 8, "agree": 3 / 8, "zeros": 5 / 16, "cosine": 16 / lengths**0.5}
    scale = {"numbers": 1, "agree": 0, "zeros": 0, "cosine": -1}
    assert {name: row.pop("kind") for name, row in found["layers"].items()} == {
        "l": "w",
        "scale": "scale",
    }
    assert found["layers"] == {"l": pytest.approx(layer), "scale": pytest.approx(scale)}
    assert found["kinds"]["scale"] == found["layers"]["scale"]
    bias = {"numbers": 2, "agree": 0, "zeros": 3 / 4, "cosine": None}
    assert found["kinds"]["bias"] == bias
    assert list(found["kinds"]) == ["bias", "scale", "w"]
    lengths = (16 + 4) * (24 + 4)
    cosine = (16 - 4) / lengths**0.5
    whole = {"numbers": 9, "agree": 3 / 9, "zeros": 5 / 18, "cosine": cosine}
    assert found["all"] == pytest.approx(whole)
    assert (found["inputs"], found["base"]) == (["one", "other"], None)
    assert found["chance"] == 0.5
    assert found["cosines"] == [pytest.approx([1, cosine]), pytest.approx([cosine, 1])]
    member = {"name": "one", "norm": 20**0.5, "cosine": cosine, "lowest": cosine, "outlier": False}
    assert found["members"][0] == pytest.approx(member)

    status, out, err = run(capsys, "one", "other")
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    for row in (
        ["layer", "numbers", "agree", "x", "chance", "zeros", "cosine"],
        ["l", "8", "37.50%", "0.75", "31.2%", "0.8165"],
        ["bias", "2", "0.00%", "0", "75.0%", "-"],
        ["1", "one", "4.472", "0.5071", "0.5071"],
    ):
        assert row in lines
    assert "2 vectors of 9 numbers, of which 27.78% are zero" in out


def test_what_there_is_nothing_of_is_left_open(vectors, capsys):
    save_file({"w": torch.zeros(3), "none.w": torch.zeros(0)}, "zeros")
    found = inspect_files(["zeros", "zeros"])
    nothing = {"numbers": 0, "agree": None, "zeros": None, "cosine": None}
    assert (found["all"], found["untouched"]) == (nothing, 3)
    assert (found["layers"], found["kinds"]) == ({}, {})
    assert found["cosines"] == [[None, None]] * 2
    assert found["members"][0]["lowest"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    alone = inspect_files(["one"])
    assert (alone["all"]["cosine"], alone["members"][0]["cosine"]) == (None, None)
    assert list(describe(alone))[-2].startswith("1 vector of 7 numbers, of which 14.29%")


@given(pools(), st.integers(1, 3))
def test_neither_blocks_nor_threads_change_a_number(tmp_path_factory, pool, threads):
    paths = saved(pool, tmp_path_factory.mktemp("pool"))
    expected = inspect_files(paths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspection, "NUMBERS", 3)
        found = inspect_files(paths, threads=threads)
    assert set(found) == set(expected)
    for key in ("layers", "kinds"):
        for name, row in expected[key].items():
            assert found[key][name] == pytest.approx(row, rel=1e-9, abs=1e-12)


def test_cosines_and_agreement_are_those_of_the_whole_vectors(tmp_path):
    pool = random_pool(3, 5)
    found = inspect_files(saved(pool, tmp_path), threads=2)
    flat = torch.stack([torch.cat([v[n].flatten() for n in sorted(v)]) for v in pool]).double()
    lengths = flat.norm(dim=1)
    expected = flat @ flat.T / torch.outer(lengths, lengths)
    assert torch.allclose(torch.tensor(found["cosines"], dtype=torch.float64), expected)
    assert [m["norm"] for m in found["members"]] == pytest.approx(lengths.tolist())
    agree = ((flat > 0).all(0) | (flat < 0).all(0)).double().mean()
    assert found["all"]["agree"] == pytest.approx(float(agree))


def test_layers_are_in_the_order_of_their_numbers(tmp_path):
    names = [f"model.layers.{number}.mlp.up_proj.weight" for number in (10, 2, 1)]
    save_file({name: torch.ones(2) for name in [*names, "head.weight"]}, tmp_path / "v")
    found = inspect_files([tmp_path / "v"])
    expected = ["head", *(f"model.layers.{number}.mlp.up_proj" for number in (1, 2, 10))]
    assert list(found["layers"]) == expected
    assert {row["kind"] for row in found["layers"].values()} == {"head", "mlp"}


@pytest.fixture
def mixed_pool(tmp_path, monkeypatch):
    """Fine-tuned models in folders of their own, the third of which is of another pool."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    torch.manual_seed(0)
    name = "vision_model.encoder.layers.11.post_norm.dense.weight"
    base = {name: torch.randn(40, 50), "classifier.bias": torch.randn(20)}
    common = {name: torch.randn(tensor.shape) for name, tensor in base.items()}
    save_file(base, "base.safetensors")
    for number in range(1, 6):
        folder = Path("pool") / f"rank-{number}"
        folder.mkdir(parents=True)
        moved = {
            name: tensor + (common[name] if number != 3 else 0) + 0.3 * torch.randn(tensor.shape)
            for name, tensor in base.items()
        }
        save_file(moved, folder / "model.safetensors")
    return [Path("pool") / f"rank-{number}" / "model.safetensors" for number in range(1, 6)]


def test_a_member_of_another_pool_is_named(mixed_pool, capsys):
    status, out, _ = run(capsys, *mixed_pool, "--base", "base.safetensors")
    lines = out.splitlines()
    assert status == 0
    assert lines[-1].startswith("member 3 does not seem to be of this pool: its mean cosine")
    marked = [line.split() for line in lines if line.endswith("unlike")]
    assert [words[:2] for words in marked] == [["3", "rank-3"]]
    found = inspect_files(mixed_pool, "base.safetensors")
    assert [m["outlier"] for m in found["members"]] == [False, False, True, False, False]


def test_a_table_fits_the_terminal(mixed_pool, capsys, monkeypatch):
    for columns in (80, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = run(capsys, *mixed_pool, "--base", "base.safetensors")[1].splitlines()
        tables = lines[: lines.index("", lines.index("") + 1)]
        assert max(map(len, tables)) <= columns
        assert any(line.startswith("…") for line in tables) is (columns == 80)


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_an_inspection_is_a_figure(mixed_pool, capsys, ending):
    words = ("--base", "base.safetensors", "--plot", f"made/pool.{ending}")
    assert run(capsys, *mixed_pool, *words)[0] == 0
    first = Path(f"made/pool.{ending}").read_bytes()
    assert first.startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[ending])
    assert run(capsys, *mixed_pool, *words)[0] == 0
    assert Path(f"made/pool.{ending}").read_bytes() == first


def test_a_figure_that_cannot_be_drawn_is_refused_at_once(vectors, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name, message in (("pool.jpg", ".png or .pdf"), ("pool.png", "'negmerge[plot]'")):
        status, out, err = run(capsys, "one", "none", "--plot", name)
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


@given(st.integers(0, 10_000), st.integers(3, 30), st.sampled_from([0.5, 0.7, 0.95]))
def test_an_honest_pool_has_no_outlier(seed, count, alike):
    assert outliers(matrix_of(honest(seed, count, alike))) == []


@given(
    st.integers(0, 10_000),
    st.integers(2, 30),
    st.sampled_from([0.6, 0.95]),
    st.sampled_from([1e-3, 1, 1e3]),
)
def test_a_foreign_member_is_found(seed, count, alike, size):
    vectors = honest(seed, count, alike)
    place = seed % (count + 1)
    vectors.insert(place, foreign(seed, size))
    assert outliers(matrix_of(vectors)) == [place]


def test_members_that_point_the_other_way_or_nowhere_are_found_where_there_is_a_pool():
    vectors = honest(0, 6)
    assert outliers(matrix_of([*vectors, -vectors[0]])) == [6]
    assert outliers(matrix_of([torch.zeros(2000), *vectors])) == [0]
    for seed in range(20):
        strangers = [foreign(seed + 100 * member) for member in range(8)]
        assert outliers(matrix_of(strangers)) == outliers(matrix_of(strangers[:2])) == []


# Names of tensors as they are in models of the libraries.
NAMES = {
    "model.layers.3.self_attn.q_proj.weight": "attention",
    "transformer.h.0.attn.c_proj.weight": "attention",
    "bert.encoder.layer.0.attention.output.dense.weight": "attention",
    "visual.transformer.resblocks.0.attn.in_proj_weight": "attention",
    "encoder.block.0.layer.0.SelfAttention.q.weight": "attention",
    "model.layers.3.mlp.gate_proj.weight": "mlp",
    "bert.encoder.layer.0.output.dense.weight": "mlp",
    "blocks.0.mlp.fc1.weight": "mlp",
    "model.layers.0.block_sparse_moe.experts.0.w1.weight": "mlp",
    "transformer.h.0.ln_1.bias": "norm",
    "layer1.0.bn1.weight": "norm",
    "bert.embeddings.LayerNorm.weight": "norm",
    "transformer.wte.weight": "embedding",
    "visual.class_embedding": "embedding",
    "lm_head.weight": "head",
    "fc.weight": "head",
    "visual.proj": "head",
    "model.layers.3.self_attn.q_proj.bias": "bias",
    "visual.conv1.weight": "convolution",
    "features.0.weight": "weight",
    "logit_scale": "logit_scale",
}


def test_a_tensor_has_the_kind_that_its_name_or_shape_tells():
    assert {name: kind(name, (4, 4)) for name in NAMES} == NAMES
    assert kind("features.0.weight", (8, 3, 3, 3)) == "convolution"
