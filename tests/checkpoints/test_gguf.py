"""GGUF files, as transformers reads them."""

import json
import shlex
import sys
from pathlib import Path

import gguf
import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import save_file

from adapter_examples import adapt, distance, moved
from negmerge.checkpoints.gguf import GgufFile
from negmerge.checkpoints.opening import open_state
from negmerge.cli import main
from negmerge.errors import UserError
from negmerge.merging import merge
from negmerge.models.language import load_language_model
from negmerge.scenarios.language.given import (
    read_configuration,
    read_language_model,
    read_own_tokenizer,
)
from negmerge.vectors import apply, task_vector

WORDS, WIDTH, HEADS, GROUPS, HIDDEN = 64, 64, 4, 2, 96
KINDS = gguf.GGMLQuantizationType
SHAPES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (GROUPS * WIDTH // HEADS, WIDTH),
    "attn_v": (GROUPS * WIDTH // HEADS, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (HIDDEN, WIDTH),
    "ffn_up": (HIDDEN, WIDTH),
    "ffn_down": (WIDTH, HIDDEN),
    "attn_norm": (WIDTH,),
    "ffn_norm": (WIDTH,),
}


def write_gguf(path, tied=True, without=()):
    """Write a Llama of one layer with tensors of three types, and a tokenizer of bytes."""
    writer = gguf.GGUFWriter(path, "llama")
    for add, value in (
        (writer.add_context_length, 32),
        (writer.add_embedding_length, WIDTH),
        (writer.add_block_count, 1),
        (writer.add_feed_forward_length, HIDDEN),
        (writer.add_head_count, HEADS),
        (writer.add_head_count_kv, GROUPS),
        (writer.add_layer_norm_rms_eps, 1e-5),
        (writer.add_rope_freq_base, 10000.0),
        (writer.add_vocab_size, WORDS),
        (writer.add_tokenizer_model, "gpt2"),
        (writer.add_tokenizer_pre, "default"),
        (writer.add_token_list, ["<s>", "</s>", "AB", "BA", *map(chr, range(65, 61 + WORDS))]),
        (writer.add_token_types, [3, 3, *[1] * (WORDS - 2)]),
        (writer.add_token_merges, ["A B", "B A"]),
        (writer.add_bos_token_id, 0),
        (writer.add_eos_token_id, 1),
    ):
        add(value)
    shapes = {"token_embd": (WORDS, WIDTH), "output_norm": (WIDTH,)}
    shapes |= {f"blk.0.{name}": shape for name, shape in SHAPES.items()}
    if not tied:
        shapes["output"] = (WORDS, WIDTH)
    numbers = np.random.default_rng(0)
    for name in shapes.keys() - set(without):
        tensor = numbers.normal(size=shapes[name]).astype(np.float32)
        kind = KINDS.F32 if tensor.ndim == 1 else KINDS.F16 if "ffn" in name else KINDS.Q8_0
        writer.add_tensor(f"{name}.weight", gguf.quantize(tensor, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def of_transformers(path):
    return transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    )


@pytest.mark.parametrize("tied", [True, False])
def test_names_shapes_and_numbers_are_those_of_transformers(tmp_path, tied):
    path = write_gguf(tmp_path / "model.gguf", tied)
    expected = dict(of_transformers(path).named_parameters())
    for place in (path, tmp_path):
        state = open_state(place)
        assert isinstance(state, GgufFile)
        assert state.names == sorted(expected)
    assert ("lm_head.weight" in state.names) != tied
    assert state.notes == [f"{path}: dequantised from F16, F32, Q8_0 to float32"]
    for name, parameter in expected.items():
        flat = parameter.detach().reshape(-1)
        assert (state.shape(name), state.dtype(name)) == (parameter.shape, torch.float32)
        end = len(flat)
        for start, stop in ((0, end), (0, 1), (5, end - 3), (end - 1, end)):
            assert torch.equal(state.numbers(name, start, stop), flat[start:stop]), name


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """The places of a GGUF base and of two models fine-tuned from it, and the models."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    models = [of_transformers(write_gguf(tmp_path / "base" / "model.gguf"))]
    for seed in (1, 2):
        generator = torch.Generator().manual_seed(seed)
        tuned = transformers.LlamaForCausalLM(models[0].config)
        tuned.load_state_dict(models[0].state_dict())
        for parameter in tuned.parameters():
            parameter.data += torch.randn(parameter.shape, generator=generator)
        save_file(dict(tuned.named_parameters()), f"tuned{seed}.safetensors")
        models.append(tuned)
    return ["base/model.gguf", "tuned1.safetensors", "tuned2.safetensors"], models


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_what_becomes_of_a_gguf_base_is_a_folder_that_transformers_loads(pool, dtype):
    places, models = pool
    options = ("--coefficient", "0.5", "--dtype", dtype)
    assert main(["unlearn", *places, "-o", "out", *options]) == 0
    base, *tuned = (dict(model.named_parameters()) for model in models)
    vector = merge("negmerge", [task_vector(base, state) for state in tuned])
    dtype = torch.float32 if dtype == "auto" else torch.bfloat16
    expected = {name: tensor.to(dtype) for name, tensor in apply(base, vector, -0.5).items()}
    found = transformers.AutoModelForCausalLM.from_pretrained("out", dtype="auto")
    assert type(found) is type(models[0])
    parameters = dict(found.named_parameters())
    assert parameters.keys() == expected.keys()
    assert all(torch.equal(parameters[name], expected[name]) for name in expected)
    tokenizers = (
        transformers.AutoTokenizer.from_pretrained("out"),
        transformers.AutoTokenizer.from_pretrained("base", gguf_file="model.gguf"),
    )
    assert len({tuple(tokenizer("ABBA").input_ids) for tokenizer in tokenizers}) == 1
    assert "dequantised from F16, F32, Q8_0 to float32" in Path("out/README.md").read_text()


def test_a_folder_with_a_gguf_file_is_measured_as_one_that_transformers_loads(pool):
    script = (
        "import json, pathlib, sys; place = pathlib.Path(sys.argv[1]); "
        "assert {'config.json', 'model.safetensors'} <= {path.name for path in place.iterdir()}; "
        "print(json.dumps({'forget': 1 - float(place.name), 'control': 1}))"
    )
    command = shlex.join([sys.executable, "-c", script, "{model}"])
    grid = ("--coefficients", "0:0.5:0.5")
    assert main(["unlearn", "base", *pool[0][1:], "-o", "out", "--evaluate", command, *grid]) == 0
    assert json.loads(Path("out/negmerge.json").read_text())["coefficient"] == 0.5


def test_an_adapter_of_peft_goes_on_a_gguf_model(tmp_path):
    path = write_gguf(tmp_path / "model.gguf")
    base, state = tmp_path / "base", GgufFile(path)
    state.write_companions(base)
    save_file(dict(state.items()), base / "model.safetensors", {"format": "pt"})
    configuration = peft.LoraConfig(use_dora=True, target_modules=["q_proj", "down_proj"])
    folder = adapt(of_transformers(path), configuration, tmp_path / "adapter")
    expected = moved(open_state(base), folder)
    assert distance(moved(open_state(path), folder), expected) == 0


def test_what_cannot_be_read_is_named(tmp_path, refused, monkeypatch):
    path = write_gguf(tmp_path / "model.gguf", without=["blk.0.attn_q"])
    name = "model.layers.0.self_attn.q_proj.weight"
    assert refused(path) == f"{path}: has no tensor for {name!r} of LlamaForCausalLM"
    whole = path.read_bytes()
    for content in (whole[:100], whole[:-10], whole.replace(b"llama", b"camel")):
        path.write_bytes(content)
        assert refused(path).startswith(f"{path}: a GGUF file that transformers does not read: ")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UserError, match=r"pip install 'negmerge\[hub\]'$"):
        GgufFile(path)


@pytest.mark.parametrize("tied", [True, False])
def test_a_study_may_start_from_a_gguf_file(tmp_path, tied):
    path = write_gguf(tmp_path / "model.gguf", tied)
    configuration = json.loads(json.dumps(read_configuration(path)))
    state = read_language_model(path, configuration, None)
    model = load_language_model({"configuration": configuration}, 0, state, str(path)).eval()
    ids = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        assert torch.allclose(model(ids).logits, of_transformers(path)(ids).logits, atol=1e-5)
    assert read_own_tokenizer(path, WORDS + 1).encode("ABBA").ids == [2, 3]
