"""Networks linear in their weights (Ortiz-Jimenez et al., Task Arithmetic in the Tangent Space)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from negmerge.checkpoints.states import State
from negmerge.models.clip import IMAGE_PREFIX, ImageEncoder


def linearised(network: nn.Module, base: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Compute f(base) + J (weights - base) by one forward-mode product; J is f's slope there."""
    change = {name: weight - base[name] for name, weight in network.named_parameters()}
    # One implementation of attention alone has a forward-mode derivative.
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            value, slope = jvp(
                lambda weights: functional_call(network, weights, (inputs,)),
                (dict(base),),
                (change,),
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return value + slope


class TangentEncoder(ImageEncoder):
    """CLIP's image tower, linearised at `base`; its state has the names of `ImageEncoder`'s."""

    def __init__(self, tower: nn.Module, base: State):
        super().__init__(tower)
        self._names = [name for name, _ in self.visual.named_parameters()]
        for number, name in enumerate(self._names):
            # Buffers move to a device with the model; they are not in its state.
            self.register_buffer(f"base{number}", base[IMAGE_PREFIX + name], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Encode images (n, 3, size, size) as unit vectors (n, dimensions)."""
        base = {name: getattr(self, f"base{place}") for place, name in enumerate(self._names)}
        return functional.normalize(linearised(self.visual, base, images), dim=-1)

    def train(self, mode: bool = True) -> "TangentEncoder":
        """Stay in eval mode, in which the derivative is meant."""
        return super().train(False)
