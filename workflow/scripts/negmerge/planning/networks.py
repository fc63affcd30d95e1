"""How large networks are, found by building them without memory for their weights.

Parameters, bytes and operations come from the row of a model itself, so a new model needs no entry
anywhere. torch is imported here only, when it is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from negmerge.settings.catalogue import Model


@dataclass(frozen=True)
class Network:
    """What a network takes.

    Attributes:
        size: side of its images in pixels.
        parameters: numbers that can be trained, of all of CLIP or of a classifier.
        state_bytes: bytes of a state that is fine-tuned: CLIP's image encoder, or a classifier.
        text_bytes: bytes of CLIP's text part; 0 for classifiers.
        features: numbers that stand for an image or a prompt; 0 for classifiers.
        image_flops: floating point operations of one image, forward.
        prompt_flops: floating point operations of one prompt; 0 for classifiers.
        fetched: whether others have trained it, so that its weights are fetched.
    """

    size: int
    parameters: int
    state_bytes: int
    text_bytes: int
    features: int
    image_flops: int
    prompt_flops: int
    fetched: bool


def measure(row: Model, classes: int) -> Network:
    """Measure the network of a row of `config/models.yaml`.

    Operations are counted by torch's counter: two for each multiplication with addition, and only
    those of matrix products, convolutions and attention.

    Args:
        row: the model.
        classes: how many outputs a classifier has; not read for CLIP.

    Raises:
        UserError: an architecture that is not known.
    """
    import torch

    with torch.device("meta"), torch.no_grad():
        return (_clip if row.scenario == "zero-shot" else _classifier)(row, classes)


def _clip(row: Model, classes: int) -> Network:
    import torch

    from negmerge.models.clip import build_clip, split_state

    clip = build_clip(row.model_dump()).eval()
    image, text = split_state(clip)
    tokens = torch.zeros(1, clip.context_length, dtype=torch.long)
    return Network(
        size=row.size,
        parameters=sum(parameter.numel() for parameter in clip.parameters()),
        state_bytes=_bytes(image),
        text_bytes=_bytes(text),
        features=clip.encode_text(tokens).shape[1],
        image_flops=_flops(clip.visual, torch.zeros(1, 3, row.size, row.size)),
        prompt_flops=_flops(clip.encode_text, tokens),
        fetched=row.is_fetched,
    )


def _classifier(row: Model, classes: int) -> Network:
    import torch

    from negmerge.models.classifiers import build_classifier

    # Trained weights have the sizes of new ones.
    model = build_classifier(row.model_dump(), classes).eval()
    return Network(
        size=row.size,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        state_bytes=_bytes(model.state_dict()),
        text_bytes=0,
        features=0,
        image_flops=_flops(model, torch.zeros(1, 3, row.size, row.size)),
        prompt_flops=0,
        fetched=row.is_fetched,
    )


def _flops(network, inputs) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        network(inputs)
    return counter.get_total_flops()


def _bytes(state: Mapping) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())
