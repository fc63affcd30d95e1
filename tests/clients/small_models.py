"""Small models of transformers, what they compute, and folders of them."""

from collections.abc import Callable
from pathlib import Path

import pools
import torch
import transformers
from pools import images
from torch import Tensor, nn

WORDS, WIDTH, SIDE = 60, 32, 16
LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": WIDTH}
VISION = LAYERS | {"intermediate_size": 64, "image_size": SIDE, "patch_size": 8}
TEXT = LAYERS | {"intermediate_size": 64, "vocab_size": WORDS, "max_position_embeddings": 12}
TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}

Outputs = Callable[[nn.Module, int], Tensor]


def words(seed: int) -> Tensor:
    """Return four texts, as numbers of words."""
    return torch.randint(3, WORDS, (4, 8), generator=torch.Generator().manual_seed(seed))


def gpt2() -> nn.Module:
    config = transformers.GPT2Config(
        vocab_size=WORDS, n_positions=12, n_embd=WIDTH, n_layer=2, n_head=4, **TOKENS
    )
    return transformers.GPT2LMHeadModel(config)


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
    config = transformers.CLIPConfig(
        text_config=TEXT | TOKENS, vision_config=VISION, projection_dim=WIDTH
    )
    return transformers.CLIPModel(config)


def clip_vision() -> nn.Module:
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION))


def of_words(model: nn.Module, seed: int) -> Tensor:
    return model(words(seed)).logits


def of_images(model: nn.Module, seed: int) -> Tensor:
    return model(images(seed, SIDE)).logits


def of_both(model: nn.Module, seed: int) -> Tensor:
    return model(input_ids=words(seed), pixel_values=images(seed, SIDE)).logits_per_image


def of_vision(model: nn.Module, seed: int) -> Tensor:
    return model(images(seed, SIDE)).pooler_output


# name -> how it is built, what it computes, and how it is saved
MODELS = {
    "gpt2": (gpt2, of_words, {}),
    "llama": (llama, of_words, {"max_shard_size": "20KB"}),
    "llama-tied": (tied_llama, of_words, {}),
    "bert": (bert, of_words, {}),
    "vit": (vit, of_images, {}),
    "clip": (clip, of_both, {"max_shard_size": "50KB"}),
    "clip-vision": (clip_vision, of_vision, {}),
}


def prepare(folder: Path, name: str, dtype: torch.dtype = torch.float32) -> list[nn.Module]:
    """Save a base and a pool of it; return the base, and what unlearning in memory makes of it."""
    build, outputs, saved = MODELS[name]
    torch.manual_seed(0)
    base = build().to(dtype).eval()
    pool = pools.fine_tuned(base, pools.loss_of(outputs))
    for place, model in {"base": base, **{f"pool-{n}": m for n, m in enumerate(pool)}}.items():
        model.save_pretrained(folder / place, **saved)
    return [base, pools.forget(base, pool)]


def load(kind: type, folder: Path, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Load a model by transformers, and check that nothing was missing or left over."""
    model, found = kind.from_pretrained(folder, output_loading_info=True, dtype="auto")
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert model.dtype == dtype
    return model.eval()
