"""Small models of transformers, what they compute, and folders of them."""

import inspect
from pathlib import Path

import pools
import torch
import transformers
from torch import Tensor, nn

WIDTH, SIDE = 32, 16
LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": WIDTH}
VISION = LAYERS | {"intermediate_size": 64, "image_size": SIDE, "patch_size": 8}
TEXT = LAYERS | {"intermediate_size": 64, "vocab_size": 60, "max_position_embeddings": 12}
TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def gpt2() -> nn.Module:
    sizes = {"vocab_size": 60, "n_positions": 12, "n_embd": WIDTH, "n_layer": 2, "n_head": 4}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **TOKENS))


def llama(**options) -> nn.Module:
    config = transformers.LlamaConfig(**TEXT, num_key_value_heads=2, **TOKENS, **options)
    return transformers.LlamaForCausalLM(config)


def tied_llama() -> nn.Module:
    return llama(tie_word_embeddings=True)


def bert() -> nn.Module:
    return transformers.BertForSequenceClassification(transformers.BertConfig(**TEXT, num_labels=3))


def vit() -> nn.Module:
    return transformers.ViTForImageClassification(transformers.ViTConfig(**VISION, num_labels=3))


def clip() -> nn.Module:
    parts = {"text_config": TEXT | TOKENS, "vision_config": VISION, "projection_dim": WIDTH}
    return transformers.CLIPModel(transformers.CLIPConfig(**parts))


def clip_vision() -> nn.Module:
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION))


# name -> how it is built, and how it is saved
MODELS = {
    "gpt2": (gpt2, {}),
    "llama": (llama, {"max_shard_size": "20KB"}),
    "llama-tied": (tied_llama, {}),
    "bert": (bert, {}),
    "vit": (vit, {}),
    "clip": (clip, {"max_shard_size": "50KB"}),
    "clip-vision": (clip_vision, {}),
}


def outputs(model: nn.Module, seed: int) -> Tensor:
    """Return what a model computes of words, images or both, as it takes them."""
    inputs = {"input_ids": pools.words(seed), "pixel_values": pools.images(seed, SIDE)}
    taken = inspect.signature(model.forward).parameters
    result = model(**{name: value for name, value in inputs.items() if name in taken})
    return next(
        result[key] for key in ("logits", "logits_per_image", "pooler_output") if key in result
    )


def prepare(folder: Path, name: str, dtype: torch.dtype = torch.float32) -> list[nn.Module]:
    """Save a base and a pool of it; return the base, and what unlearning in memory makes of it."""
    build, saved = MODELS[name]
    torch.manual_seed(0)
    base = build().to(dtype).eval()
    pool = pools.fine_tuned(base, outputs)
    pools.save(base, pool, lambda model, place: model.save_pretrained(place, **saved), folder)
    return [base, pools.forget(base, pool)]


def load(kind: type, folder: Path, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Load a model by transformers, and check that nothing was missing or left over."""
    model, report = kind.from_pretrained(folder, output_loading_info=True, dtype="auto")
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert model.dtype == dtype
    return model.eval()
