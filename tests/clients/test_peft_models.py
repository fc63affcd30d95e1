"""Adapters on bases as this version of transformers saves them are what PEFT's merge gives."""

import peft
import pytest
import torch
import transformers
from peft import LoraConfig
from small_models import TEXT, VISION, bert, clip, clip_vision, gpt2, llama, vit

from adapter_examples import OTHER_ORDER, base_adapter_and_merge, distance, moved


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


# Where versions differ: in the names of modules, in what a file holds, in the kinds of layers.
MODELS = {
    "gpt2": (gpt2, LoraConfig(target_modules=["c_attn", "c_proj", "wte", "wpe"])),
    "llama": (llama, LoraConfig(target_modules="all-linear")),
    "llama with DoRA": (llama, LoraConfig(use_dora=True, target_modules=["q_proj", "down_proj"])),
    "llama with LoKr": (llama, peft.LoKrConfig(target_modules=["q_proj", "down_proj"])),
    "bert": (bert, LoraConfig(task_type="SEQ_CLS", target_modules=["query", "dense"], bias="all")),
    "vit": (
        vit,
        LoraConfig(
            target_modules=r".*\.(\d+)\..*(q_proj|query|dense|fc1)|.*projection",
            modules_to_save=["classifier"],
        ),
    ),
    "dinov2": (dinov2, LoraConfig(target_modules=r".*(query|q_proj|fc1)|.*layer.*(dense|o_proj)")),
    "gpt_neox": (
        gpt_neox,
        LoraConfig(target_modules=r".*(query_key_value|dense|lm_head|embed_out)"),
    ),
    "llava": (llava, LoraConfig(target_modules="all-linear")),
    "clip": (clip, LoraConfig(target_modules=["q_proj", "out_proj", "fc1", "visual_projection"])),
    "clip vision": (clip_vision, LoraConfig(target_modules=["v_proj", "fc2", "patch_embedding"])),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name, tmp_path):
    build, configuration = MODELS[name]
    base, folder, expected = base_adapter_and_merge(build, configuration, tmp_path)
    assert any(not torch.equal(expected[key], base[key]) for key in base.names)
    assert distance(moved(base, folder), expected) <= OTHER_ORDER
