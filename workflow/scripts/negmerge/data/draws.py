"""Random draws of which images of a set are taken: the same with every version of every package."""

import numpy as np

from negmerge.splits import VALIDATION_LIMIT, VALIDATION_SHARE


def torch_permutation(n: int, seed: int) -> np.ndarray:
    """Permute 0..n-1 as `torch.randperm` does with a generator of that seed, without torch.

    Both draw from the Mersenne Twister of Matsumoto and Nishimura, seeded alike. torch shuffles
    after Fisher and Yates, from the front, taking each number modulo the positions that are left
    (pytorch/pytorch, ATen/native/TensorFactories.cpp). That holds for n below 2^32 / 20.
    """
    numbers = np.random.RandomState(seed).randint(0, 2**32, n, dtype=np.uint32).astype(np.int64)
    places = np.arange(n)
    partners = (places + numbers % (n - places)).tolist()
    order = places.tolist()
    for place, partner in enumerate(partners[:-1]):
        order[place], order[partner] = order[partner], order[place]
    return np.array(order, np.int64)


def validation_positions(n: int) -> np.ndarray:
    """Give the positions that `negmerge.data.train_val_split` holds out, ascending."""
    held_out = min(int(VALIDATION_SHARE * n), VALIDATION_LIMIT)
    return np.sort(torch_permutation(n, 0)[n - held_out :])
