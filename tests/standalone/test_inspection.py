"""What `negmerge inspect` finds in a pool, as numbers, as a table and as a figure."""

import json
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
from negmerge.standalone.inspection import inspect_files
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


def test_an_inspection_is_a_table(vectors, capsys):
    status, out, err = run(capsys, "one", "other")
    assert (status, err) == (0, "")
    *table, numbers, agreement, cosines = out.splitlines()
    assert [line.split() for line in table] == [
        ["layer", "numbers", "agree", "x", "chance", "zeros", "cosine"],
        ["l", "8", "37.50%", "0.75", "31.2%", "0.8165"],
        ["scale", "1", "0.00%", "0", "0.0%", "-1.0000"],
        [],
        ["kind", "numbers", "agree", "x", "chance", "zeros", "cosine"],
        ["bias", "2", "0.00%", "0", "75.0%", "-"],
        ["scale", "1", "0.00%", "0", "0.0%", "-1.0000"],
        ["w", "6", "50.00%", "1", "16.7%", "0.8341"],
        [],
        ["member", "norm", "cosine", "lowest"],
        ["1", "one", "4.472", "0.5071", "0.5071"],
        ["2", "other", "5.292", "0.5071", "0.5071"],
        [],
    ]
    assert numbers == "2 vectors of 9 numbers, of which 27.78% are zero"
    assert agreement == "all agree in sign on 33.33%, 0.667 times the chance of 50%"
    assert cosines == "cosines of pairs 0.5071 to 0.5071, mean 0.5071"


def test_what_there_is_nothing_of_is_left_open(vectors, capsys):
    save_file({"w": torch.zeros(3), "none.w": torch.zeros(0)}, "zeros")
    found = inspect_files(["zeros", "zeros"])
    nothing = {"numbers": 0, "agree": None, "zeros": None, "cosine": None}
    assert (found["all"], found["untouched"]) == (nothing, 3)
    assert (found["layers"], found["kinds"]) == ({}, {})
    assert found["cosines"] == [[None, None]] * 2
    assert found["members"][0]["lowest"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(describe(found))[-1].startswith("3 more numbers are in tensors that no model")
    alone = inspect_files(["one"])
    assert (alone["all"]["cosine"], alone["members"][0]["cosine"]) == (None, None)
    assert list(describe(alone))[-2:] == [
        "1 vector of 7 numbers, of which 14.29% are zero",
        "2 more numbers are in tensors that no model changes",
    ]


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


def test_only_some_tensors_may_be_inspected(mixed_pool, capsys):
    words = ("--base", "base.safetensors", "--exclude", "bias", "--threads", "2", "--json")
    status, out, err = run(capsys, *mixed_pool, *words)
    assert status == 0
    assert "note: --exclude" in err
    assert list(json.loads(out)["kinds"]) == ["norm"]


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_an_inspection_is_a_figure(mixed_pool, capsys, ending):
    words = ("--base", "base.safetensors", "--plot", f"made/pool.{ending}")
    assert run(capsys, *mixed_pool, *words)[0] == 0
    first = Path(f"made/pool.{ending}").read_bytes()
    assert first.startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[ending])
    assert run(capsys, *mixed_pool, *words)[0] == 0
    assert Path(f"made/pool.{ending}").read_bytes() == first


def test_a_figure_that_cannot_be_drawn_is_refused_at_once(vectors, capsys, monkeypatch):
    status, out, err = run(capsys, "one", "none", "--plot", "pool.jpg")
    assert (status, out) == (1, "")
    assert err == "error: pool.jpg: a figure's name ends in .png or .pdf\n"
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, out, err = run(capsys, "one", "none", "--plot", "pool.png")
    assert (status, out) == (1, "")
    assert err == (
        "error: pool.png: a figure needs matplotlib: pip install 'negmerge[plot]'\n"
    )  # fmt: skip
