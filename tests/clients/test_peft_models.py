"""Adapters of whole models, on bases as other programs save them, are what PEFT's merge gives."""

import peft
import pytest
import torch
import transformers
from peft import LoraConfig
from peft_adapters import OTHER_ORDER, adapt, distance, merged_by_peft, moved, write_base
from safetensors.torch import load_file, save_file

from negmerge.adapters import open_adapter
from negmerge.checkpoints.opening import open_state
from negmerge.errors import UserError

VISION = {
    "hidden_size": 16,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
TEXT = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 12,
}


def gpt2():
    configuration = transformers.GPT2Config(
        vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=12, bos_token_id=0
    )
    return transformers.GPT2LMHeadModel(configuration)


def llama():
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**TEXT, num_key_value_heads=1))


def bert():
    return transformers.BertForSequenceClassification(transformers.BertConfig(**TEXT))


def vit():
    return transformers.ViTForImageClassification(transformers.ViTConfig(**VISION))


def dinov2():
    configuration = transformers.Dinov2Config(
        **{k: v for k, v in VISION.items() if k != "intermediate_size"}
    )
    return transformers.Dinov2ForImageClassification(configuration)


def gpt_neox():
    return transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**TEXT))


def clip():
    configuration = transformers.CLIPConfig(
        text_config=TEXT, vision_config=VISION, projection_dim=8
    )
    return transformers.CLIPModel(configuration)


def clip_vision():
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION))


def llava():
    configuration = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**VISION),
        text_config=transformers.LlamaConfig(**TEXT),
        image_token_index=3,
    )
    return transformers.LlavaForConditionalGeneration(configuration)


def experts():
    sizes = TEXT | {"num_key_value_heads": 1, "head_dim": 8}
    configuration = transformers.GptOssConfig(**sizes, num_local_experts=3, num_experts_per_tok=2)
    return transformers.GptOssForCausalLM(configuration)


MODELS = {
    "gpt2": (gpt2, {"target_modules": ["c_attn", "c_proj"]}),
    "gpt2 with embeddings": (gpt2, {"target_modules": ["c_attn", "c_proj", "wte", "wpe"]}),
    "llama": (llama, {"target_modules": "all-linear"}),
    "llama with heads": (
        llama,
        {
            "target_modules": ["q_proj", "v_proj", "lm_head", "embed_tokens"],
            "use_rslora": True,
            "rank_pattern": {"lm_head": 3, "layers.1.self_attn.q_proj": 5},
            "alpha_pattern": {"v_proj": 3},
        },
    ),
    "bert": (
        bert,
        {"task_type": "SEQ_CLS", "target_modules": ["query", "dense"], "bias": "all"},
    ),
    "bert with lora_bias": (bert, {"target_modules": ["query", "dense"], "lora_bias": True}),
    "vit": (
        vit,
        {
            "target_modules": r".*\.(\d+)\..*(q_proj|query|dense|fc1)|.*projection",
            "modules_to_save": ["classifier"],
        },
    ),
    "dinov2": (dinov2, {"target_modules": r".*(query|q_proj|fc1)|.*layer.*(dense|o_proj)"}),
    "gpt_neox": (gpt_neox, {"target_modules": r".*(query_key_value|dense|lm_head|embed_out)"}),
    "llava": (llava, {"target_modules": "all-linear"}),
    "experts": (
        experts,
        {
            "target_modules": ["q_proj"],
            "target_parameters": ["experts.gate_up_proj", "experts.down_proj"],
        },
    ),
    "clip": (clip, {"target_modules": ["q_proj", "out_proj", "fc1", "visual_projection"]}),
    "clip vision": (clip_vision, {"target_modules": ["v_proj", "fc2", "patch_embedding"]}),
}


def made(name):
    torch.manual_seed(0)
    return MODELS[name][0]()


@pytest.mark.parametrize("name", MODELS)
def test_models(name, tmp_path):
    made(name).save_pretrained(tmp_path / "base")
    folder = adapt(made(name), LoraConfig(**MODELS[name][1]), tmp_path / "adapter")
    base = open_state(tmp_path / "base")
    fresh = type(made(name)).from_pretrained(tmp_path / "base")
    merged = peft.PeftModel.from_pretrained(fresh, str(folder)).merge_and_unload()
    # Some models of transformers 5 have other names in memory than in files, so it writes both.
    merged.save_pretrained(tmp_path / "merged")
    expected = dict(open_state(tmp_path / "merged").items())
    assert any(not torch.equal(expected[key], base[key]) for key in base.names)
    assert distance(moved(base, folder), expected) <= OTHER_ORDER


@pytest.mark.parametrize(
    ("name", "prefix"), [("gpt2", "transformer."), ("clip vision", "vision_model.")]
)
def test_a_base_without_the_prefix(name, prefix, tmp_path):
    folder = adapt(made(name), LoraConfig(**MODELS[name][1]), tmp_path / "adapter")
    made(name).save_pretrained(tmp_path / "base")
    state = load_file(tmp_path / "base" / "model.safetensors")
    with_prefix = {f"{prefix}{key.removeprefix(prefix)}": state[key] for key in state}
    without = {key.removeprefix(prefix): state[key] for key in state}
    results = []
    for number, renamed in enumerate((with_prefix, without)):
        save_file(renamed, tmp_path / f"{number}.safetensors", {"format": "pt"})
        results.append(moved(open_state(tmp_path / f"{number}.safetensors"), folder))
    for key, tensor in results[1].items():
        assert torch.equal(tensor, results[0][f"{prefix}{key}"]), key
    assert any(not torch.equal(results[1][key], without[key]) for key in without)


def test_an_adapter_on_a_base_of_another_size(tmp_path):
    folder = adapt(made("gpt2"), LoraConfig(**MODELS["gpt2"][1]), tmp_path / "adapter")
    other = transformers.GPT2Config(vocab_size=40, n_embd=24, n_layer=2, n_head=2, n_positions=12)
    transformers.GPT2LMHeadModel(other).save_pretrained(tmp_path / "base")
    with pytest.raises(UserError, match=r"has shape \[48, 16\].*belongs to another base"):
        open_adapter(folder, open_state(tmp_path / "base"))


def test_a_head_that_the_base_lacks(tmp_path):
    folder = adapt(made("bert"), LoraConfig(**MODELS["bert"][1]), tmp_path / "adapter")
    transformers.BertModel(made("bert").config).save_pretrained(tmp_path / "base")
    base = open_state(tmp_path / "base")
    with pytest.raises(UserError, match=r"stores 'classifier' whole .*--exclude 'classifier'"):
        open_adapter(folder, base)
    adapter = open_adapter(folder, base, wanted=lambda name: not name.startswith("classifier"))
    assert "encoder.layer.1.attention.self.query.weight" in adapter.names


def test_open_clip(tmp_path):
    open_clip = pytest.importorskip("open_clip")

    def model():
        torch.manual_seed(0)
        tower = {"layers": 2, "width": 16, "patch_size": 4, "image_size": 8, "head_width": 8}
        text = {"context_length": 7, "vocab_size": 30, "width": 16, "heads": 2, "layers": 2}
        return open_clip.model.CLIP(embed_dim=8, vision_cfg=tower, text_cfg=text)

    targets = r".*(attn|c_fc|c_proj|conv1|token_embedding)"
    folder = adapt(model(), LoraConfig(target_modules=targets, r=3), tmp_path / "adapter")
    base = write_base(model(), tmp_path / "base.safetensors")
    assert distance(moved(base, folder), merged_by_peft(model(), folder)) <= OTHER_ORDER


def test_timm(tmp_path):
    timm = pytest.importorskip("timm")

    def model():
        torch.manual_seed(0)
        return timm.create_model("resnet18", num_classes=5)

    configuration = LoraConfig(target_modules=["conv1", "conv2"], modules_to_save=["fc", "bn1"])
    folder = adapt(model(), configuration, tmp_path / "adapter")
    base = write_base(model(), tmp_path / "base.safetensors")
    assert distance(moved(base, folder, 10**6), merged_by_peft(model(), folder)) <= OTHER_ORDER
