"""What lies in an output's folder beside its numbers."""

import json
import shlex
import sys
from typing import ClassVar

import pytest
import torch
from huggingface_hub import RepoUrl
from huggingface_hub.errors import LocalTokenNotFoundError
from model_folders import assert_same_bits, draw, read, save, save_pool, tuned
from safetensors import safe_open

import negmerge
from negmerge import __version__
from negmerge.errors import UserError
from negmerge.merging import merge
from negmerge.standalone import folder
from negmerge.standalone.evaluating import unlearn_by_evaluation
from negmerge.vectors import apply, in_vector, task_vector


def unlearn(folders, out, **options):
    return negmerge.unlearn(folders[0], folders[1:], out, **{"coefficient": 0.9} | options)


def put(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in files}


BELONG = {
    "generation_config.json": "{}",
    "tokenizer.model": "pieces",
    "modeling_custom.py": "x = 1",
    "LICENSE": "MIT",
    "modules.json": '[{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}]',
    "1_Pooling/config.json": "{}",
    "2_Dense/model.safetensors": "weights of a part",
}
BELONG_NOT = {
    "README.md": "the base's card",
    "model.fp16.safetensors": "old weights",
    "tf_model.h5": "old weights",
    "onnx/model.onnx": "old weights",
    "training_args.bin": "pickle",
    "checkpoint-500/trainer_state.json": "{}",
    ".cache/huggingface/x.lock": "",
}


def test_it_has_what_the_base_has_but_for_old_weights(tmp_path):
    _, folders = save_pool(tmp_path)
    put(folders[0], BELONG | BELONG_NOT)
    unlearn(folders, tmp_path / "out")
    written = {"config.json", "model.safetensors", "README.md", "negmerge.json"}
    assert names(tmp_path / "out") == {*BELONG, *written}
    for name, text in BELONG.items():
        assert (tmp_path / "out" / name).read_text() == text
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_the_configuration_names_the_new_dtype(tmp_path):
    wide = {"dtype": "float32", "text_config": {"torch_dtype": "float32"}, "vocab_size": 3}
    _, folders = save_pool(tmp_path, **wide)
    unlearn(folders, tmp_path / "same")
    unlearn(folders, tmp_path / "half", dtype="bfloat16")
    before, same, half = (
        json.loads((folder / "config.json").read_text())
        for folder in (folders[0], tmp_path / "same", tmp_path / "half")
    )
    assert same == before
    assert half == same | {"dtype": "bfloat16", "text_config": {"torch_dtype": "bfloat16"}}


def test_the_weights_are_called_as_the_client_looks_for_them(tmp_path):
    states, folders = save_pool(tmp_path, count=2)
    for place, state in zip(folders, states, strict=True):
        (place / "model.safetensors").unlink()
        torch.save(state, place / "open_clip_pytorch_model.bin")
    # open_clip reads no shards.
    unlearn(folders, tmp_path / "out", max_shard_size="0.1KB")
    vector = merge("negmerge", [task_vector(states[0], state) for state in states[1:]])
    written = "open_clip_model.safetensors"
    assert_same_bits(read(tmp_path / "out" / written), apply(states[0], vector, -0.9))
    assert names(tmp_path / "out") == {written, "config.json", "README.md", "negmerge.json"}


def test_the_card_tells_how_it_was_made(tmp_path):
    _, folders = save_pool(tmp_path, _name_or_path="org/model-7b")
    front = "---\nlicense: mit\nlanguage:\n- en\npipeline_tag: text-generation\n---\n# Base\n"
    (folders[0] / "README.md").write_text(front)
    report = unlearn(folders, tmp_path / "out", command="negmerge unlearn base ...")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith(
        "---\nbase_model: org/model-7b\nlanguage:\n- en\nlicense: mit\n"
        "pipeline_tag: text-generation\ntags:\n- negmerge\n- machine-unlearning\n- merge\n---\n"
    )
    for text in (
        "| coefficient | 0.9 |",
        f"| {report['kept']:,} of {report['numbers']:,} (",
        f"negmerge {__version__}",
        "negmerge unlearn base ...",
        f"| pool: tuned3 | model.safetensors | `{report['pool'][2]['files'][0]['blake3']}` |",
    ):
        assert text in card
    assert str(tmp_path) not in card
    assert json.loads((tmp_path / "out" / "negmerge.json").read_text()) == report
    with pytest.raises(UserError, match="'5 apples' of a shard"):
        unlearn(folders, tmp_path / "other", max_shard_size="5 apples")
    save(draw(0), tmp_path / "local", _name_or_path="./local/model")
    (tmp_path / "local" / "README.md").write_text("---\nlicense: [mit\n---\n")
    unlearn([tmp_path / "local", *folders[1:]], tmp_path / "no-hub")
    assert (tmp_path / "no-hub" / "README.md").read_text().startswith("---\ntags:\n")


class Hub:
    """Takes the place of the hub."""

    calls: ClassVar = []
    token = "given"

    def whoami(self):
        if not self.token:
            raise LocalTokenNotFoundError("Token is required, but no token found.\nMore lines.")

    def create_repo(self, repository, **options):
        self.calls.append((repository, options))
        return RepoUrl(f"https://huggingface.co/{repository}")

    def upload_folder(self, repo_id, folder_path, commit_message):
        self.calls.append((repo_id, names(folder_path)))


@pytest.mark.parametrize("measured", [False, True])
def test_a_folder_is_uploaded_when_it_is_whole(tmp_path, monkeypatch, measured):
    _, folders = save_pool(tmp_path)
    monkeypatch.setattr(folder, "HfApi", Hub)
    monkeypatch.setattr(Hub, "calls", [])
    lines = []
    how = {"push_to": "org/name", "tell": lines.append}
    if measured:
        script = tmp_path / "measure.py"
        script.write_text(
            "import sys; print('{\"control\": 1, \"forget\": %d}' % sys.argv[1].endswith('base'))"
        )
        command = shlex.join([sys.executable, str(script), "{model}"])
        how |= {"coefficients": [0.5]}
        unlearn_by_evaluation(folders[0], folders[1:], tmp_path / "out", command, **how)
    else:
        unlearn(folders, tmp_path / "out", **how)
    assert Hub.calls == [
        ("org/name", {"private": True, "exist_ok": True}),
        ("org/name", names(tmp_path / "out")),
    ]
    assert ("evaluations.csv" in names(tmp_path / "out")) == measured
    assert lines[-1] == f"{tmp_path / 'out'}: is at https://huggingface.co/org/name"


@pytest.mark.parametrize(
    ("repository", "message"),
    [
        ("org/name", "--push-to org/name: the hub does not take it: Token is required, but no "),
        ("org/na me", "--push-to org/na me: the hub does not take it: Repo id must"),
    ],
)
def test_what_cannot_be_uploaded_is_known_before(tmp_path, monkeypatch, repository, message):
    _, folders = save_pool(tmp_path)
    monkeypatch.setattr(folder, "HfApi", Hub)
    monkeypatch.setattr(Hub, "token", None)
    with pytest.raises(UserError) as caught:
        unlearn(folders, tmp_path / "out", push_to=repository)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def head_of(state):
    return state | {"lm_head.weight": state["embed_tokens.weight"].clone()}


@pytest.mark.parametrize("lacks", [None, "lm_head.weight", "embed_tokens.weight"])
def test_tied_tensors_stay_tied(tmp_path, lacks):
    base = head_of(draw(0))
    pool = [head_of(tuned(draw(0), seed)) for seed in (1, 2)]
    if lacks:
        del pool[1][lacks]
    folders = [save(s, tmp_path / f"m{n}") for n, s in enumerate((base, *pool))]
    report = unlearn(folders, tmp_path / "out", method="dare", max_shard_size="0.1KB")
    found = read(tmp_path / "out")
    assert found.keys() == base.keys()
    assert torch.equal(found["lm_head.weight"], found["embed_tokens.weight"])
    assert not torch.equal(found["lm_head.weight"], base["lm_head.weight"])
    assert "tie_word_embeddings" not in (tmp_path / "out" / "config.json").read_text()
    assert report["numbers"] == sum(t.numel() for n, t in draw(0).items() if in_vector(n, t))


def test_tensors_that_the_pool_parts_are_tied_no_longer(tmp_path):
    base, first = head_of(draw(0)), head_of(tuned(draw(0), 1))
    second = tuned(base, 2)
    states = (base, first, second)
    folders = [save(s, tmp_path / f"m{n}") for n, s in enumerate(states)]
    report = unlearn(folders, tmp_path / "out")
    vector = merge("negmerge", [task_vector(base, state) for state in states[1:]])
    assert_same_bits(read(tmp_path / "out"), apply(base, vector, -0.9))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    assert report["notes"][0].startswith("embed_tokens.weight, lm_head.weight: tied in the base")


def test_shards_have_an_index_and_are_not_too_large(tmp_path):
    states, folders = save_pool(tmp_path)
    unlearn(folders, tmp_path / "out", max_shard_size="0.2KB")
    files = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    count = len(files)
    assert files == [f"model-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)]
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in states[0].values())
    assert index["weight_map"].keys() == states[0].keys()
    for file in files:
        state = read(tmp_path / "out" / file)
        assert {name for name, place in index["weight_map"].items() if place == file} == set(state)
        assert sum(t.nbytes for t in state.values()) <= 200 or len(state) == 1


def test_a_head_that_the_base_does_not_store_is_left_out_if_it_is_tied(tmp_path):
    base, pool = draw(0), [head_of(tuned(draw(0), seed)) for seed in (1, 2)]
    folders = [save(s, tmp_path / f"m{n}") for n, s in enumerate((base, *pool))]
    report = unlearn(folders, tmp_path / "out")
    assert read(tmp_path / "out").keys() == base.keys()
    for place, note in zip(folders[1:], report["notes"], strict=True):
        assert note.startswith(f"{place / 'model.safetensors'}: ")
        assert note.endswith("left out: lm_head.weight")
