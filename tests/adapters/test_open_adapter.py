import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapter_examples import PREFIX, opened, pair, random, vector, write_adapter_folder
from negmerge.adapters.adapter import is_adapter, open_adapter
from negmerge.errors import UserError

LAYER = {"h.0.q.weight": random(4, 3), "h.0.q.bias": random(4), "h.1.q.weight": random(4, 3)}


def q(rank=2):
    return pair("h.0.q", 4, 3, rank)[0]


def experts(count, width, names):
    """Return factors of stacked square experts, with base tensors of these names."""
    factors = {}
    for number, _ in enumerate(names):
        module = "mlp.experts" + ".base_layer" * number
        factors[f"{module}.lora_A.weight"] = random(2 * count, width)
        factors[f"{module}.lora_B.weight"] = random(width, 2 * count)
    return factors


REFUSED = {
    "DoRA": (q() | {"h.0.q.lora_magnitude_vector": random(4)}, {}, "is of DoRA, only plain LoRA"),
    "another name": ({"h.0.q.lora_A.default.weight": random(2, 3)}, {}, "not a name that PEFT"),
    "no B": ({"h.0.q.lora_A.weight": random(2, 3)}, {}, r"has no counterpart 'lora_B'"),
    "another base": (
        pair("h.0.q", 6, 3)[0],
        {},
        r"\[6, 3\], but .* has \[4, 3\] there; the adapter",
    ),
    "another rank": (q(3), {}, "have ranks 3 and 3, expected 2 by adapter_config.json"),
    "no such layer": (
        q() | pair("h.0.qq", 4, 3)[0],
        {},
        r"changes 'h.0.qq', which .* lacks; nearest: h.0.q",
    ),
    "a tied head": (
        q() | pair("lm_head", 6, 3)[0],
        {},
        "changes 'lm_head', which .* lacks; a head that is tied to the embeddings has none",
    ),
    "no bias": (
        pair("h.1.q", 4, 3)[0] | {"h.1.q.lora_B.bias": random(4)},
        {"lora_bias": True},
        "changes 'h.1.q.bias', which the base lacks",
    ),
    "a head": (
        q() | {"score.weight": random(2, 3)},
        {"modules_to_save": ["score"]},
        r"stores 'score' whole \(modules_to_save\).*--exclude 'score'",
    ),
    "groups": (
        {"conv.lora_A.weight": random(2, 4, 3, 3), "conv.lora_B.weight": random(4, 1, 1, 1)},
        {},
        "'conv.weight' is a convolution in groups",
    ),
    "square experts": (
        experts(3, 4, ["square"]),
        {"target_parameters": ["experts.square"]},
        "'mlp.experts': cannot tell whether its stacked matrices",
    ),
    "tokens": (
        {"wte.token_adapter.trainable_tokens_delta": random(2, 3)},
        {"trainable_token_indices": {"wte": [1, 2, 3]}},
        "for each of 3 trainable_token_indices",
    ),
    "a larger vocabulary": ({"wte.weight": random(8, 3)}, {}, "--vocabulary base cuts it"),
}
BASE = LAYER | {
    "conv.weight": random(4, 2, 3, 3),
    "wte.weight": random(6, 3),
    "mlp.experts.square": random(3, 4, 4),
    "mlp.experts.twin": random(3, 4, 4),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path, case):
    factors, configuration, message = REFUSED[case]
    with pytest.raises(UserError, match=message) as error:
        opened(tmp_path, BASE, factors, **configuration)
    assert str(error.value).startswith(str(tmp_path / "adapter"))
    assert "\n" not in str(error.value)


def test_the_rows_of_a_larger_vocabulary_can_be_left_out(tmp_path):
    a, b = random(2, 9), random(3, 2)
    factors = {
        "wte.weight": random(8, 3),
        "head.lora_A.weight": b.T,
        "head.lora_B.weight": a.T,
        "wpe.lora_embedding_A": a,
        "wpe.lora_embedding_B": b,
    }
    tensors = {f"{name}.weight": random(6, 3, seed=7) for name in ("wte", "wpe", "head")}
    base, _ = opened(tmp_path, tensors, pair("head", 6, 3)[0])
    folder = write_adapter_folder(tmp_path / "adapter", factors)
    with pytest.raises(UserError, match="--vocabulary base cuts it"):
        open_adapter(folder, base)
    found = vector(base, open_adapter(folder, base, vocabulary="base"), 4)
    torch.testing.assert_close(
        found["wte.weight"], factors["wte.weight"][:6] - tensors["wte.weight"]
    )
    torch.testing.assert_close(found["wpe.weight"], 3 * (b @ a).T[:6])
    torch.testing.assert_close(found["head.weight"], 3 * (b @ a).T[:6])


def test_what_is_not_wanted_is_left_out_though_the_base_lacks_it(tmp_path):
    factors = q() | pair("h.1.q", 5, 3)[0] | {"score.weight": random(2, 3)}
    base, _ = opened(tmp_path, LAYER, q())
    folder = write_adapter_folder(tmp_path / "adapter", factors)
    adapter = open_adapter(folder, base, wanted=lambda name: "0.q" in name)
    assert adapter.names == ["h.0.q.weight"]
    with pytest.raises(UserError, match="changes nothing of"):
        open_adapter(folder, base, wanted=lambda name: False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("vit.layers.0.attention.q_proj", "vit.encoder.layer.0.attention.attention.query"),
        ("vit.layers.0.attention.o_proj", "encoder.layer.0.attention.output.dense"),
        ("vit.layers.0.mlp.fc1", "vit.encoder.layer.0.intermediate.dense"),
        ("dino.encoder.layer.0.attention.k_proj", "encoder.layer.0.attention.attention.key"),
        ("swin.layers.0.attention.v_proj", "swin.layers.0.attention.self.value"),
        ("lm_head", "embed_out"),
    ],
)
def test_names_that_transformers_5_changed(tmp_path, old, new):
    factors, product = pair(old, 4, 3)
    base, adapter = opened(tmp_path, {f"{new}.weight": random(4, 3)}, factors)
    torch.testing.assert_close(vector(base, adapter)[f"{new}.weight"], 3 * product)


def test_the_files_of_an_adapter(tmp_path):
    base, adapter = opened(tmp_path, LAYER, q())
    expected = vector(base, adapter)
    folder = tmp_path / "adapter"
    whole = folder / "adapter_model.safetensors"
    assert is_adapter(folder)
    assert is_adapter(whole)
    assert is_adapter(folder / "adapter_config.json")
    assert not is_adapter(tmp_path)
    assert not is_adapter(tmp_path / "base.safetensors")
    assert not is_adapter("org/name")
    tensors = load_file(whole)
    whole.unlink()
    with pytest.raises(UserError, match=r"no adapter_model\.safetensors or .* beside"):
        open_adapter(folder, base)
    places = {}
    for number, (name, tensor) in enumerate(tensors.items()):
        places[name] = f"adapter_model-0000{number + 1}-of-00002.safetensors"
        save_file({name: tensor}, folder / places[name])
    index = folder / "adapter_model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert_same(vector(base, open_adapter(folder, base)), expected)
    index.unlink()
    torch.save(tensors, folder / "adapter_model.bin")
    assert_same(vector(base, open_adapter(folder, base)), expected)
    # Names without the prefix of PEFT.
    save_file({key.removeprefix(PREFIX): tensor for key, tensor in tensors.items()}, whole)
    assert_same(vector(base, open_adapter(whole, base)), expected)


def assert_same(found, expected):
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    factors = q()
    factors["h.0.q.lora_B.weight"][2, 1] = float("nan")
    base, adapter = opened(tmp_path, LAYER, factors)
    with pytest.raises(UserError, match=r"adapter: tensor 'h.0.q.weight' holds 3 NaN or infinite"):
        vector(base, adapter)


def test_what_the_user_should_see_is_noted(tmp_path):
    _, adapter = opened(
        tmp_path,
        LAYER,
        pair("transformer.h.0.q", 4, 3)[0],
        base_model_name_or_path="org/model-bnb-4bit",
    )
    assert len(adapter.notes) == 2
    assert "names the quantised base 'org/model-bnb-4bit'" in adapter.notes[0]
    assert "'transformer.h.0.q', which is 'h.0.q'" in adapter.notes[1]
    assert adapter.paths == {"h.0.q": "transformer.h.0.q"}
    assert [file.name for file in adapter.files] == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
