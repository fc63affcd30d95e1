"""Causal language models of random weights that transformers makes, a few thousand numbers each."""

import torch

VOCABULARY = 61


def language_model(kind="llama", seed=0, std=0.5, **settings):
    """A model whose weights are large enough that its choices differ from place to place."""
    import transformers

    classes = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
        "gemma2": (transformers.Gemma2Config, transformers.Gemma2ForCausalLM),
        "opt": (transformers.OPTConfig, transformers.OPTForCausalLM),
    }
    sizes = {
        "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 48, "bos_token_id": 1,
        "eos_token_id": 2, "pad_token_id": None,
    }  # fmt: skip
    llama = {"intermediate_size": 24, "num_key_value_heads": 2}
    own = {
        "llama": llama,
        # Its logits are not its head's: they are cut smoothly at 3.
        "gemma2": llama | {"head_dim": 8, "final_logit_softcapping": 3.0},
        "opt": {"ffn_dim": 24, "word_embed_proj_dim": 16, "dropout": 0.0},
        "gpt2": {},
    }[kind]
    configuration, build = classes[kind]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(configuration(**sizes | own | settings))
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=std)
    return model.eval()
