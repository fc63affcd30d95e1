"""LiNeS: numbers of a merge are scaled by the depth of their layer, so that shallow ones move less.

Wang et al., *LiNeS* (ICLR 2025), read in the authors' code, wang-kee/LiNeS at 43a7bdd. They edit
single vectors and multi-task merges that are added; that a merge is negated is this project's use.
"""

import re
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from negmerge.errors import UserError
from negmerge.settings.recipe import Settings, Share


class Lines(Settings):
    """The options of every merge."""

    lines: Share = Field(
        1.0,
        description="LiNeS: the scale of the first block's numbers. It grows by equal steps to 1 "
        "for the last; 1: nothing is scaled.",
    )
    lines_outside: Literal["first", "depth"] = Field(
        "first",
        description="What is in no block has the scale of the first, as in the authors' code; or "
        "what comes after the last block, such as a head, has that of the last.",
    )
    lines_falling: bool = Field(
        False, description="Turn the scales round, as a control: they fall with depth."
    )


# Where a name tells the block: by one number, or by a stage and a number in it. What stands deeper,
# such as the experts of a block, does not count.
BLOCK = re.compile(
    r"(?:^|\.)(?:h|layers?|encoder_layer|blocks?|resblocks|stages|features)[._]?(\d+)\."
    r"(?:(?:blocks\.)?(\d+)\.)?"
)
# What comes after the last block, by a part of its name; nothing of an embedding does.
AFTER = re.compile(
    r"(?:^|\.)(?:ln_post|ln_f|norm|fc_norm|final_layernorm|final_layer_norm|post_layernorm|"
    r"layernorm|attnpool|proj|visual_projection|head|heads|lm_head|fc|classifier|score)(?:\.|$)"
)


def depths(names: Iterable[str], outside: str = "first") -> dict[str, float]:
    """Return how deep each tensor of a model lies: 0 in the first block, 1 in the last.

    Blocks are those of transformers, of stages of a ResNet, Swin or ConvNeXt, and the layers of a
    VGG, in the order in which images or tokens pass them; names tell them. Fewer than two are a
    UserError.
    """
    places = {}
    for name in names:
        match = BLOCK.search(name)
        places[name] = match and (int(match[1]), int(match[2] or 0))
    blocks = sorted({place for place in places.values() if place})
    if len(blocks) < 2:
        raise UserError(
            f"lines: the names of the tensors tell {len(blocks)} blocks, such as "
            f"{next(iter(places), 'none')!r}; expected 2 or more, whose depth scales the merge"
        )
    ranks = {place: rank / (len(blocks) - 1) for rank, place in enumerate(blocks)}

    def of_outside(name: str) -> float:
        is_after = "embed" not in name and bool(AFTER.search(name))
        return float(outside == "depth" and is_after)

    return {n: ranks[place] if place else of_outside(n) for n, place in places.items()}


def scales(
    names: Iterable[str], lines: float, lines_outside: str = "first", lines_falling: bool = False
) -> dict[str, float]:
    """Return the scale of each tensor: c + (1 - c) l / (L - 1) in block l, from 0, of L blocks.

    c is `lines`. In the authors' code it is alpha, with beta = 1 - alpha. With `lines_falling` it
    is c + (1 - c) (1 - l / (L - 1)).
    """
    return {
        name: lines + (1 - lines) * (1 - depth if lines_falling else depth)
        for name, depth in depths(names, lines_outside).items()
    }
