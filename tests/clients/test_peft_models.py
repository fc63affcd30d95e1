"""Adapters of whole models, on bases as other programs save them, are what PEFT's merge gives."""

import peft
import pytest
import torch
import transformers
from peft import LoraConfig
from peft_adapters import OTHER_ORDER, adapt, distance, moved
from small_models import TEXT, VISION, bert, clip, clip_vision, gpt2, llama, vit

from negmerge.checkpoints.opening import open_state


def dinov2():
    vision = {name: value for name, value in VISION.items() if name != "intermediate_size"}
    return transformers.Dinov2ForImageClassification(transformers.Dinov2Config(**vision))


def gpt_neox():
    return transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**TEXT))


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
