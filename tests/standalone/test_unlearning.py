"""`negmerge.unlearn`: the numbers that it writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_folders import assert_same_bits, bits, read, save, save_pool
from safetensors import safe_open
from safetensors.torch import save_file

import negmerge
from negmerge.checkpoints.opening import open_state
from negmerge.cli import main
from negmerge.errors import UserError
from negmerge.merging import merge
from negmerge.merging.pool import Checksums
from negmerge.vectors import apply, task_vector

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def wide(state):
    return {name: t.float() if t.is_floating_point() else t for name, t in state.items()}


def expected(states, coefficient, method="negmerge", **options):
    base, *pool = states
    return apply(base, merge(method, [task_vector(base, s) for s in pool], **options), -coefficient)


@settings(max_examples=8)
@given(
    method=st.sampled_from(["negmerge", "uniform", "ties", "dare"]),
    dtype=st.sampled_from(list(DTYPES.values())),
    output=st.sampled_from([None, *DTYPES]),
    coefficient=st.sampled_from([0.9, -1.0, 0.0, 1.5]),
    shards=st.booleans(),
    threads=st.integers(1, 3),
    numbers=st.sampled_from([7, None]),
)
def test_it_is_the_base_less_the_merged_vector(
    tmp_path_factory, method, dtype, output, coefficient, shards, threads, numbers
):
    folder = tmp_path_factory.mktemp("unlearn")
    states, folders = save_pool(folder, of=dtype, shard_of=(lambda n: len(n) % 2 + 1))
    report = negmerge.unlearn(
        folders[0],
        folders[1:],
        folder / "out",
        method=method,
        coefficient=coefficient,
        dtype=output,
        max_shard_size="0.15KB" if shards else "5GB",
        threads=threads,
        block_numbers=numbers,
    )
    wanted = expected([wide(states[0]) if output else states[0], *states[1:]], coefficient, method)
    if output:  # rounded once
        wanted = {
            n: t.to(DTYPES[output]) if t.is_floating_point() else t for n, t in wanted.items()
        }
    assert_same_bits(read(folder / "out"), wanted)
    assert (folder / "out" / "model.safetensors").exists() != shards
    assert report["coefficient"] == coefficient


def pool_of(folders):
    return folders[0], folders[1:]


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_what_the_pool_does_not_change_keeps_its_bits(tmp_path, dtype):
    zeros = torch.tensor([0.0, -0.0, -0.0, 1.0], dtype=dtype)
    base = {"w": zeros, "u": torch.full((3,), -0.0, dtype=dtype), "n": torch.tensor([7])}
    first = base | {"w": torch.tensor([1.0, 1.0, -0.0, 1.0], dtype=dtype)}
    second = base | {"w": torch.tensor([1.0, -1.0, 2.0, 1.0], dtype=dtype)}
    places = [save(s, tmp_path / n) for n, s in (("b", base), ("1", first), ("2", second))]
    report = negmerge.unlearn(*pool_of(places), tmp_path / "out", coefficient=-0.5)
    found = read(tmp_path / "out")
    assert bits(found["w"]) == bits(torch.tensor([0.5, -0.0, -0.0, 1.0], dtype=dtype))
    assert bits(found["u"]) == bits(base["u"])
    assert (report["kept"], report["numbers"]) == (1, 7)


def test_infinite_tables_are_copied(tmp_path):
    mask = torch.full((1, 1, 3, 3), float("-inf"))
    base = {"w": torch.ones(3), "h.0.attn.bias": mask}
    places = [save(base, tmp_path / "base"), save(base | {"w": torch.zeros(3)}, tmp_path / "tuned")]
    negmerge.unlearn(*pool_of(places), tmp_path / "out", coefficient=1, dtype="float16")
    assert bits(read(tmp_path / "out")["h.0.attn.bias"]) == bits(mask.half())


def test_rounding_that_takes_changes_back_is_counted_and_told(tmp_path):
    base = {"w": torch.ones(4, dtype=torch.bfloat16)}
    pool = [{"w": torch.tensor([1.0, 1.001, 1.5, 1.0001])}, {"w": torch.tensor([1, 1.1, 1.5, 1.1])}]
    save_file(base, tmp_path / "base.safetensors")
    places = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for place, state in zip(places, pool, strict=True):
        save_file(state, place)
    lines = []
    report = negmerge.unlearn(
        tmp_path / "base.safetensors",
        places,
        tmp_path / "out.safetensors",
        method="masked-single",
        single=1,
        coefficient=1,
        tell=lines.append,
    )
    assert read(tmp_path / "out.safetensors")["w"].tolist() == [1, 1, 0.5, 1]
    assert (report["kept"], report["lost_to_rounding"]) == (3, 2)
    assert lines == report["notes"]
    assert lines[0].startswith(f"{tmp_path / 'out.safetensors'}: 2 of 3 changes (66.67 %) are lost")


def test_numbers_too_large_for_the_dtype_are_refused(tmp_path):
    _, folders = save_pool(tmp_path)
    with pytest.raises(UserError) as caught:
        negmerge.unlearn(*pool_of(folders), tmp_path / "out", coefficient=1e6, dtype="float16")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'out'}: tensor '")
    assert "too large for float16; --dtype float32 or bfloat16" in message
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"base", "tuned1", "tuned2", "tuned3"}


def test_a_file_gives_a_file_with_the_report(tmp_path):
    states, folders = save_pool(tmp_path)
    files = [folder / "model.safetensors" for folder in folders]
    report = negmerge.unlearn(*pool_of(files), tmp_path / "out", coefficient=0.9)
    assert_same_bits(read(tmp_path / "out"), expected(states, 0.9))
    with safe_open(tmp_path / "out", "pt") as opened:
        metadata = opened.metadata()
    assert metadata["format"] == "pt"
    assert json.loads(metadata["negmerge"]) == report
    known = Checksums([open_state(file) for file in files]).known()
    digests = [state["files"][0]["blake3"] for state in (report["base"], *report["pool"])]
    assert digests == [known[file] for file in files]


def test_the_vector_alone_can_be_written(tmp_path):
    (base, *pool), folders = save_pool(tmp_path)
    negmerge.unlearn(*pool_of(folders), tmp_path / "vector", vector_only=True, dtype="bfloat16")
    vector = merge("negmerge", [task_vector(base, state) for state in pool])
    wanted = {name: tensor.bfloat16() for name, tensor in vector.items()}
    assert_same_bits(read(tmp_path / "vector"), wanted)


def test_the_functions_are_found_without_loading_torch():
    code = "import sys, negmerge; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


MODELS = ("base", "tuned1", "tuned2", "-o", "out")


def run(capsys, *words):
    status = main(["unlearn", *map(str, words)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_the_command_gives_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_pool(tmp_path, count=2)
    status, out, err = run(capsys, *MODELS, "--coefficient", 0.9)
    assert (status, err) == (0, "")
    report = json.loads(Path("out/negmerge.json").read_text())
    assert f"{report['kept']} of 107 numbers ({100 * report['kept'] / 107:.2f} %)" in out
    assert report["command"].startswith("negmerge ")
    words = ("--coefficient", -0.5, "--json", "--dtype", "bfloat16", "--exclude", "norm", "--force")
    status, out, err = run(capsys, *MODELS, *words, "--method", "ties", "--option", "density=0.5")
    assert status == 0
    assert err.startswith("note: --exclude norm fits norm.running_var, norm.weight\n")
    report = json.loads(out)
    assert report["options"]["density"] == 0.5
    assert (report["coefficient"], report["dtype"]) == (-0.5, "bfloat16")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "the coefficient is missing"),
        (("--coefficient=1", "--method=negmerg"), "did you mean 'negmerge'?"),
        (("--coefficient=1", "--option", "density=1"), "unknown option 'density'"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    save_pool(tmp_path, count=2)
    status, out, err = run(capsys, *MODELS, *words)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("error: ")
    assert message in err
    assert not Path("out").exists()
