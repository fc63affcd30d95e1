"""The commands that only look, reports as JSON, and checkpoints in shards."""

import json
from itertools import islice
from pathlib import Path

import pytest
import torch
from blake3 import blake3
from safetensors.torch import save_file
from torch import nn

from negmerge.checkpoints.states import read_metadata, read_state
from negmerge.cli import main
from negmerge.merging import merge
from negmerge.vectors import apply, task_vector


def checksum(path):
    return blake3(Path(path).read_bytes()).hexdigest()


def run(capsys, *words):
    """Run a command; give its exit status and what it printed."""
    status = main([str(word) for word in words])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def report(capsys, *words):
    """What a command prints with --json."""
    status, out, err = run(capsys, *words, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


@pytest.fixture
def vectors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = {"l.w": [[3.0, 0, 1], [1, -1, 2]], "l.b": [0.0, 0], "scale": 2.0}
    other = {"l.w": [[4.0, 1, -1], [0, -1, 2]], "l.b": [0.0, 1], "scale": -2.0}
    for name, vector in {"one": one, "other": other}.items():
        save_file({name: torch.tensor(values) for name, values in vector.items()}, name)


def test_equal_files_do_not_differ(vectors, capsys):
    status, out, err = run(capsys, "diff", "one", "one")
    assert (status, err) == (0, "")
    assert out == "in all: 0 of 9 numbers differ, by 0 at most and 0 on average\n"
    assert report(capsys, "diff", "one", "one")["equal"] is True


def test_numbers_that_differ_are_counted(vectors, capsys):
    status, out, err = run(capsys, "diff", "one", "other")
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        "l.b: 1 of 2 numbers differ, by 1 at most and 0.5 on average",
        "l.w: 4 of 6 numbers differ, by 2 at most and 0.833 on average",
        "scale: 1 of 1 numbers differ, by 4 at most and 4 on average",
        "in all: 6 of 9 numbers differ, by 4 at most and 1.11 on average",
    ]
    status, out, _ = run(capsys, "diff", "one", "other", "--json")
    found = json.loads(out)
    assert (status, found["equal"]) == (1, False)
    assert found["tensors"]["l.b"] == {"numbers": 2, "different": 1, "largest": 1.0, "mean": 0.5}
    assert found["all"]["mean"] == pytest.approx(10 / 9)


def test_names_shapes_and_types_that_differ_are_listed(vectors, capsys):
    same = torch.tensor([1.0, -0.0])
    whole = torch.tensor([2**60, 5])  # too large for float64 to tell from its neighbour
    common = {"b": same, "c": same.view(2, 1), "i": whole, "t": same > 0}
    save_file(common | {"a": same.clone(), "c": same.clone()}, "first")
    changed = {"b": same.half(), "i": whole + 1, "t": same > 5}
    save_file(common | changed | {"d": same.clone()}, "second")
    status, out, _ = run(capsys, "diff", "first", "second")
    assert status == 1
    assert out.splitlines() == [
        "a: only in the first",
        "d: only in the second",
        "c: [2] in the first, [2, 1] in the second",
        "b: torch.float32 in the first, torch.float16 in the second",
        "i: 2 of 2 numbers differ, by 1 at most and 0.5 on average",
        "t: 1 of 2 numbers differ, by 1 at most and 0.5 on average",
        "in all: 3 of 6 numbers differ, by 1 at most and 0.333 on average",
    ]
    save_file({"b": torch.tensor([1.0, 0.0])}, "plus")
    save_file({"b": same.half()}, "minus")
    found = json.loads(run(capsys, "diff", "plus", "minus", "--json")[1])
    assert found["all"]["different"] == 0
    assert found["dtypes"] == {"b": ["torch.float32", "torch.float16"]}
    assert found["equal"] is False


def test_mistakes_in_a_comparison_have_a_status_of_their_own(vectors, capsys):
    save_file({"w": torch.tensor([float("nan")])}, "nan")
    mistakes = {
        ("diff", "one", "none"): "none: no such file or folder; found here: one, nan",
        ("diff", "nan", "nan"): "nan: tensor 'w' holds 1 NaN or infinite of 1",
        ("inspect", "one", "none"): "none: no such file or folder; found here: one, nan",
        ("inspect", "one", "nan"): "nan: tensor 'l.b' is missing (3 in all)",
    }
    for words, message in mistakes.items():
        status, out, err = run(capsys, *words)
        assert (status, out, err) == (2 if words[0] == "diff" else 1, "", f"error: {message}\n")


def test_merge_and_negate_report_as_json(vectors, capsys):
    merged = report(capsys, "merge", "uniform", "one", "other", "-o", "merged")
    assert merged == read_metadata("merged")
    assert (merged["method"], merged["kept"], merged["numbers"]) == ("uniform", 6, 9)
    negated = report(capsys, "negate", "one", "merged", "0.5", "-o", "unlearned")
    assert negated == read_metadata("unlearned")
    files = [{"name": "merged", "blake3": checksum("merged")}]
    assert negated["pool"] == [{"name": "merged", "files": files}]


def test_options_may_be_texts(vectors, capsys):
    words = ("merge", "dare", "one", "-o", "merged", "--option", "by=magnitude")
    found = report(capsys, *words, "--option", "drop=0.5")
    assert found["options"] == {"drop": 0.5, "by": "magnitude", "rescale": True, "seed": 0}
    status, out, err = run(capsys, *words[:-1], "by=luck", "--force")
    assert (status, out) == (1, "")
    assert err == "error: dare: by is 'luck': input should be 'random' or 'magnitude'\n"


def test_options_may_be_true_or_false(vectors, capsys):
    words = ("merge", "dare", "one", "-o", "merged", "--force", "--option")
    for word, value in {"true": True, "false": False}.items():
        found = report(capsys, *words, f"rescale={word}")["options"]["rescale"]
        assert found is value
    for word, value in {"no": "'no'", "1": "1", "True": "'True'"}.items():
        status, out, err = run(capsys, *words, f"rescale={word}")
        assert (status, out) == (1, "")
        assert err == f"error: dare: rescale is {value}: input should be a valid boolean\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_ends_in_one_line(vectors, capsys):
    words = ("merge", "uniform", "one", "other", "-o", "merged", "--device")
    assert run(capsys, *words, "cpu")[0] == 0
    status, out, err = run(capsys, *words, "cuda", "--force")
    assert (status, out) == (1, "")
    assert err.startswith("error: the device is cuda, but torch ")
    assert err.count("\n") == 1


def test_threads_change_no_byte(vectors, capsys):
    for threads in (1, 3):
        words = ("merge", "ties", "one", "other", "-o", f"merged{threads}")
        assert run(capsys, *words, "--threads", threads)[0] == 0
    with open("merged1", "rb") as one, open("merged3", "rb") as other:
        assert one.read() == other.read()


class Transformer(nn.Module):
    """A small language model: embedding, two encoder layers, head."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(50, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 50)
        # The layers begin as copies of one, which would count as tied.
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)

    def forward(self, words):
        return self.head(self.encoder(self.embedding(words)))


def save_in_shards(state, folder):
    """Save a state in two shards, as the hub lays them out."""
    folder.mkdir()
    names = iter(state)
    places, size = {}, 0
    for number in (1, 2):
        file = f"model-{number:05}-of-00002.safetensors"
        shard = {name: state[name] for name in islice(names, len(state) // 2 + 1)}
        save_file(shard, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(shard, file)
        size += sum(tensor.nbytes for tensor in shard.values())
    index = {"metadata": {"total_size": size}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_transformer_in_shards_is_merged_negated_and_compared(tmp_path, capsys, dtype):
    base, *pool = (Transformer(seed).to(dtype).state_dict() for seed in range(3))
    folders = [tmp_path / name for name in ("base", "first", "second")]
    for state, folder in zip((base, *pool), folders, strict=True):
        save_in_shards(state, folder)
    merged, unlearned = tmp_path / "merged", tmp_path / "unlearned.safetensors"
    # One model is given by its folder, the other by its index.
    models = (folders[1], folders[2] / "model.safetensors.index.json")
    words = ("merge", "negmerge", *models, "--base", folders[0], "-o", merged)
    found = report(capsys, *words, "--threads", 2)
    shards = [file for folder in folders[1:] for file in sorted(folder.glob("*.safetensors"))]
    assert found["inputs"] == [{"name": f.name, "blake3": checksum(f)} for f in shards]
    assert len(found["base"]) == 2
    assert run(capsys, "negate", folders[0], merged, "0.5", "-o", unlearned)[0] == 0
    assert len(read_metadata(unlearned)["base"]["files"]) == 2

    vector = merge("negmerge", [task_vector(base, state) for state in pool])
    expected = apply(base, vector, -0.5)
    state = read_state(unlearned)
    assert list(state) == sorted(base)
    for name, tensor in expected.items():
        assert state[name].dtype == dtype
        assert torch.equal(state[name], tensor), name
    model = Transformer(9).to(dtype)
    model.load_state_dict(state)
    assert torch.isfinite(model.eval()(torch.tensor([[1, 2, 3]]))).all()

    save_file(base, tmp_path / "whole")
    assert report(capsys, "diff", folders[0], tmp_path / "whole")["equal"]
    status, out, _ = run(capsys, "diff", folders[0], unlearned, "--json")
    different = sum(int((state[name] != base[name]).sum()) for name in base)
    assert status == 1
    assert json.loads(out)["all"]["different"] == different
    found = report(capsys, "inspect", *models, "--base", folders[0])
    numbers = sum(tensor.numel() for tensor in base.values())
    assert found["all"]["numbers"] == numbers
    kept = sum(int(tensor.count_nonzero()) for tensor in vector.values())
    assert found["all"]["agree"] == kept / numbers
    assert "encoder.layers.1.self_attn" in found["layers"]
