"""The vector of an adapter is what PEFT's merge adds to the base, whatever the blocks."""

import json
import math
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from adapter_examples import (
    OTHER_ORDER,
    PREFIX,
    adapt,
    base_adapter_and_merge,
    distance,
    moved,
    pair,
    random,
    vector,
    write_adapter_folder,
    write_base_file,
)
from negmerge.adapters.reading import is_adapter, open_adapter
from negmerge.checkpoints.opening import open_state
from negmerge.errors import UserError
from small_language_models import language_model

peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")


def vit():
    vision = {"image_size": 8, "patch_size": 4, "intermediate_size": 12, "num_labels": 3}
    configuration = transformers.ViTConfig(
        **vision, hidden_size=8, num_hidden_layers=2, num_attention_heads=2
    )
    return transformers.ViTForImageClassification(configuration)


def experts():
    configuration = transformers.GptOssConfig(
        vocab_size=61, hidden_size=8, intermediate_size=12, num_hidden_layers=1, head_dim=4,
        num_attention_heads=2, num_key_value_heads=1, num_local_experts=3, num_experts_per_tok=2,
    )  # fmt: skip
    return transformers.GptOssForCausalLM(configuration)


def image_tower():
    configuration = transformers.SiglipVisionConfig(
        hidden_size=8, intermediate_size=12, num_hidden_layers=1, num_attention_heads=2,
        image_size=8, patch_size=4,
    )  # fmt: skip
    return transformers.SiglipVisionModel(configuration)


def llama():
    return language_model()


def tied():
    return language_model(tie_word_embeddings=True)


def gpt2():
    return language_model("gpt2")


LINEAR = {"target_modules": ["q_proj", "down_proj"]}
PATTERNS = {"rank_pattern": {"lm_head": 3, "layers.1.self_attn.q_proj": 5},
            "alpha_pattern": {"v_proj": 3}}  # fmt: skip
CASES = {
    **{f"rank {r}": (llama, peft.LoraConfig(r=r, target_modules="all-linear")) for r in (2, 4, 8)},
    "rank-stabilised": (llama, peft.LoraConfig(
        use_rslora=True, target_modules=["q_proj", "v_proj", "lm_head", "embed_tokens"],
        **PATTERNS)),
    "turned": (gpt2, peft.LoraConfig(
        fan_in_fan_out=True, target_modules=["c_attn", "c_proj", "wte", "wpe"])),
    "tied head": (tied, peft.LoraConfig(target_modules=["q_proj", "lm_head"])),
    "tokens": (tied, peft.LoraConfig(
        trainable_token_indices={"embed_tokens": [4, 1]}, **LINEAR)),
    "biases": (gpt2, peft.LoraConfig(target_modules=["c_attn"], bias="all")),
    "added biases": (gpt2, peft.LoraConfig(target_modules=["c_attn"], lora_bias=True)),
    "head whole": (vit, peft.LoraConfig(
        target_modules=r".*(query|q_proj|projection)", modules_to_save=["classifier"])),
    "experts": (experts, peft.LoraConfig(
        target_modules=["q_proj"],
        target_parameters=["experts.gate_up_proj", "experts.down_proj"])),
    "attention": (image_tower, peft.LoraConfig(target_modules=["q_proj", "head.attention"])),
    "DoRA": (llama, peft.LoraConfig(use_dora=True, **LINEAR)),
    "DoRA, turned": (gpt2, peft.LoraConfig(use_dora=True, target_modules=["c_attn", "wte"])),
    "LoHa": (llama, peft.LoHaConfig(r=4, **LINEAR)),
    "LoKr": (llama, peft.LoKrConfig(r=4, **LINEAR)),
    "OFT": (llama, peft.OFTConfig(oft_block_size=8, **LINEAR)),
    "IA3": (llama, peft.IA3Config(feedforward_modules=["down_proj"], **LINEAR)),
    "VeRA": (llama, peft.VeraConfig(r=4, target_modules=["q_proj"])),
    "AdaLoRA": (llama, peft.AdaLoraConfig(total_step=10, **LINEAR)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_base_and_vector_are_what_peft_merges(case, tmp_path):
    build, configuration = CASES[case]
    base, folder, expected = base_adapter_and_merge(build, configuration, tmp_path)
    changed = [n for n in base.names if base.is_float(n) and not base[n].equal(expected[n])]
    result = moved(base, folder, 300)
    assert distance(result, expected) <= OTHER_ORDER
    assert changed
    assert set(changed) <= set(open_adapter(folder, base).names)
    # The rows of a block are those of the whole, but for the order of a sum.
    assert distance(moved(base, folder, 10**6), result) <= OTHER_ORDER


@pytest.mark.parametrize(("trained", "given"), [("body", "model"), ("model", "body")])
def test_an_adapter_of_a_body_goes_on_the_model_and_the_reverse(trained, given, tmp_path):
    parts = {"model": gpt2(), "body": gpt2().transformer}
    parts[given].save_pretrained(tmp_path / "base")
    configuration = peft.LoraConfig(target_modules=["c_attn", "wte"])
    folder = adapt(parts[trained], configuration, tmp_path / "adapter")
    base = open_state(tmp_path / "base")
    prefix = "transformer." if given == "model" else ""
    names = ["h.0.attn.c_attn.weight", "h.1.attn.c_attn.weight", "wte.weight"]
    assert open_adapter(folder, base).names == [prefix + name for name in names]


@given(
    st.integers(1, 4),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 40),
)
def test_a_base_that_transformers_cannot_build_takes_plain_lora(
    tmp_path_factory, rank, alpha, rslora, turned, outputs, inputs, numbers
):
    folder = tmp_path_factory.mktemp("adapter")
    factors, product = pair("body.a.0.q", outputs, inputs, rank)
    plain, second = pair("body.a.1.q", outputs, inputs, 3, seed=4)
    plain["head.bias"] = random(3)
    shape = (inputs, outputs) if turned else (outputs, inputs)
    tensors = {f"a.{layer}.q.weight": random(*shape) for layer in range(2)}
    tensors["head.bias"] = torch.ones(3)
    base = write_base_file(folder / "base.safetensors", tensors)
    keys = {"use_rslora": rslora, "fan_in_fan_out": turned, "alpha_pattern": {"0.q": alpha}}
    write_adapter_folder(folder, factors | plain, r=3, rank_pattern={"0.q": rank}, **keys)
    state = vector(base, open_adapter(folder, base), numbers)
    for name, matrix, scale in (("a.0.q", product, alpha / rank), ("a.1.q", second, 6 / 3)):
        if rslora:
            scale *= math.sqrt(rank if name == "a.0.q" else 3)
        expected = scale * (matrix.T if turned else matrix)
        torch.testing.assert_close(state[f"{name}.weight"], expected)
    assert state["head.bias"].equal(plain["head.bias"] - 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_factors_are_widened_before_they_are_multiplied(tmp_path, dtype):
    base = write_base_file(tmp_path / "base.safetensors", {"q.weight": random(4, 3)})
    factors = {key: tensor.to(dtype) for key, tensor in pair("q", 4, 3)[0].items()}
    folder = write_adapter_folder(tmp_path / "adapter", factors)
    a, b = (tensor.double() for tensor in factors.values())
    found = vector(base, open_adapter(folder, base))["q.weight"]
    torch.testing.assert_close(found.double(), 3 * b @ a, rtol=1e-6, atol=1e-6)


LORA = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}
Q = "model.layers.0.self_attn.q_proj"
# The keys that are changed, the tensors that are added, and what the message says.
REFUSED = {
    "a prompt": ({"peft_type": "PROMPT_TUNING"}, {}, ["adapter_config.json", "PROMPT_TUNING"]),
    "unknown kind": ({"peft_type": "NEW"}, {}, ["adapter_config.json", "NEW"]),
    "MLX": ({"peft_type": None, "fine_tune_type": "lora"}, {}, ["MLX", "peft_type"]),
    "PiSSA": ({"init_lora_weights": "pissa_niter_4"}, {}, ["init_lora_weights", "pissa_niter_4"]),
    "unknown key": ({"enable_lora": [True]}, {}, ["adapter_config.json", "enable_lora"]),
    "another rank": ({"r": 3}, {}, [f"{Q}.lora_A.weight", "[2, 16]", "[3, 16]"]),
    "bad rank": ({"r": "many"}, {}, [f"{Q}.lora_A.weight"]),
    "no such layer": ({}, pair("model.layers.7.self_attn.q_proj", 16, 16)[0], ["layers.7"]),
    "no counterpart": ({"target_modules": ["q_proj", "o_proj"]}, {}, ["o_proj.lora_A.weight"]),
    "a head": ({"modules_to_save": ["score"]}, {"score.weight": random(2, 16)}, ["score.weight"]),
    "a tied head": (
        {"modules_to_save": ["lm_head"]},
        {"lm_head.weight": random(61, 16)},
        ["lm_head.weight", "--exclude"],
    ),
    "a larger vocabulary": (
        {},
        {"model.embed_tokens.weight": random(64, 16)},
        ["embed_tokens.weight", "[64, 16]", "[61, 16]", "--vocabulary base"],
    ),
    "tokens": (
        {"trainable_token_indices": {"embed_tokens": [1, 2, 3]}},
        {"model.embed_tokens.token_adapter.trainable_tokens_delta": random(2, 16)},
        ["trainable_tokens_delta", "[2, 16]", "3"],
    ),
    "not a number": ({}, {"model.norm.weight": torch.full((16,), math.nan)}, ["model.norm.weight"]),
}


@pytest.fixture(scope="module")
def tied_base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tied().save_pretrained(folder)
    return open_state(folder)


def plain_factors():
    return (
        pair("model.layers.0.self_attn.q_proj", 16, 16)[0]
        | pair("model.layers.1.self_attn.q_proj", 16, 16)[0]
    )


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_named(case, tmp_path, tied_base):
    keys, more, words = REFUSED[case]
    folder = write_adapter_folder(tmp_path, plain_factors() | more, **LORA | keys)
    with pytest.raises(UserError) as error:
        vector(tied_base, open_adapter(folder, tied_base))
    message = str(error.value)
    assert message.startswith(str(tmp_path))
    assert "\n" not in message
    assert not [word for word in words if word not in message]


@pytest.mark.parametrize(
    ("keys", "more", "word"),
    [
        ({"use_dora": True}, {"q.lora_magnitude_vector": random(4)}, "use_dora"),
        ({"peft_type": "IA3"}, {}, "IA3"),
        ({}, pair("other", 4, 3)[0], "other.lora_A.weight"),
        ({}, {"norm.weight": random(3)}, "norm.weight"),
        ({}, pair("q", 5, 3)[0], "[4, 3]"),
        ({}, {"k.lora_A.weight": random(2, 3)}, "k.lora_A.weight"),
    ],
)
def test_such_a_base_takes_no_other_adapter(tmp_path, keys, more, word):
    tensors = {"q.weight": random(4, 3), "k.weight": random(4, 3)}
    base = write_base_file(tmp_path / "base.safetensors", tensors)
    folder = write_adapter_folder(tmp_path / "adapter", pair("q", 4, 3)[0] | more, **keys)
    with pytest.raises(UserError) as error:
        open_adapter(folder, base)
    assert str(error.value).startswith(str(folder))
    assert word in str(error.value)


def test_without_peft_the_message_tells_how_to_get_it(tmp_path, tied_base, monkeypatch):
    folder = write_adapter_folder(tmp_path, plain_factors(), **LORA)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"adapter_config.json: .*negmerge\[hub\]"):
        open_adapter(folder, tied_base)


def test_files_that_are_no_configuration(tmp_path, tied_base):
    folder = write_adapter_folder(tmp_path, plain_factors(), **LORA)
    texts = {"version https://git-lfs.github.com/spec/v1\noid": "git lfs pull", '{"r': "JSON"}
    for text, word in (texts | {"[1]": "peft_type"}).items():
        (folder / "adapter_config.json").write_text(text)
        with pytest.raises(UserError, match=word):
            open_adapter(folder, tied_base)


def test_what_is_not_wanted_is_left_out_though_the_base_lacks_it(tmp_path, tied_base):
    more = {"score.weight": random(2, 16), "model.norm.weight": random(5)}
    folder = write_adapter_folder(tmp_path, plain_factors() | more, **LORA)
    adapter = open_adapter(folder, tied_base, wanted=lambda name: "0.self" in name)
    assert adapter.names == [f"{Q}.weight"]
    with pytest.raises(UserError, match="changes nothing of"):
        open_adapter(folder, tied_base, wanted=lambda name: False)


def test_the_rows_of_a_larger_vocabulary_can_be_left_out(tmp_path, tied_base):
    words = random(64, 16)
    more = {"model.embed_tokens.weight": words}
    folder = write_adapter_folder(tmp_path, plain_factors() | more, **LORA)
    name = "model.embed_tokens.weight"
    found = vector(tied_base, open_adapter(folder, tied_base, vocabulary="base"), 40)
    torch.testing.assert_close(found[name], words[:61] - tied_base[name])


def test_the_files_of_an_adapter(tmp_path, tied_base):
    folder = write_adapter_folder(
        tmp_path / "adapter", plain_factors(), **LORA, base_model_name_or_path="org/it-bnb-4bit"
    )
    whole = folder / "adapter_model.safetensors"
    adapter = open_adapter(folder, tied_base)
    assert "'org/it-bnb-4bit'" in adapter.notes[0]
    assert adapter.files == [folder / "adapter_config.json", whole]
    expected = vector(tied_base, adapter)
    assert all(map(is_adapter, (folder, whole, folder / "adapter_config.json")))
    assert not any(map(is_adapter, (tmp_path, tied_base.path, "org/name")))
    tensors = load_file(whole)
    whole.unlink()
    with pytest.raises(UserError, match=r"no adapter_model\.safetensors or .* beside"):
        open_adapter(folder, tied_base)
    places = {}
    for number, (name, tensor) in enumerate(tensors.items()):
        places[name] = f"adapter_model-0000{number + 1}-of-00004.safetensors"
        save_file({name: tensor}, folder / places[name])
    index = folder / "adapter_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert_same(vector(tied_base, open_adapter(folder, tied_base)), expected)
    index.unlink()
    torch.save(tensors, folder / "adapter_model.bin")
    assert_same(vector(tied_base, open_adapter(folder, tied_base)), expected)
    # Names without the prefix of PEFT.
    save_file({key.removeprefix(PREFIX): tensor for key, tensor in tensors.items()}, whole)
    assert_same(vector(tied_base, open_adapter(whole, tied_base)), expected)


def assert_same(found, expected):
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
