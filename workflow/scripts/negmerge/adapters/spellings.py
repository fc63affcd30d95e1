"""Module paths of transformers 5 in memory, and what its files still call the same modules.

transformers 5 renamed modules of vision models but keeps their old names in files, while PEFT
writes the names of the memory. What differs in the prefix alone is left to `paths`.
"""

import re

_ATTENTION = tuple(
    (rf"\.attention\.{letter}_proj$", rf".attention.{{0}}.{name}")
    for letter, name in (("q", "query"), ("k", "key"), ("v", "value"))
)
_OUTPUT = (r"\.attention\.o_proj$", ".attention.output.dense")
_MLP = ((r"\.mlp\.fc1$", ".intermediate.dense"), (r"\.mlp\.fc2$", ".output.dense"))


def _attention(inner: str) -> tuple[tuple[str, str], ...]:
    return (*((old, new.format(inner)) for old, new in _ATTENTION), _OUTPUT)


# By family: the first as they are, then ViT, its relatives with an encoder, DINOv2, Swin, GPT-NeoX.
SPELLINGS = (
    (),
    ((r"(^|\.)layers\.(?=\d)", r"\1encoder.layer."), *_attention("attention"), *_MLP),
    (*_attention("attention"), *_MLP),
    _attention("attention"),
    (*_attention("self"), *_MLP),
    ((r"^lm_head$", "embed_out"),),
)


def spelled(path: str, spelling: tuple[tuple[str, str], ...]) -> str:
    """Return a module's path in one of `SPELLINGS`."""
    for old, new in spelling:
        path = re.sub(old, new, path)
    return path
