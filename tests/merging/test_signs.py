"""Masking bits is what `where` does; the coordinates that a figure shows of a pool's vectors."""

import pytest
import torch

from negmerge.checkpoints.states import StateFile, write_state
from negmerge.errors import UserError
from negmerge.merging.signs import sample

# By column: agree, agree, disagree, one zero, agree, disagree.
LAYER = torch.tensor(
    [
        [1.0, -2.0, 3.0, 0.0, -5.0, -6.0],
        [0.5, -0.1, -1.0, 2.0, -3.0, 4.0],
        [9.0, -9.0, 9.0, 9.0, -9.0, 9.0],
    ]
)


@pytest.fixture
def stored(tmp_path):
    """A function that writes one tensor per name and vector and opens the files."""

    def write(**tensors):
        found = []
        for number in range(len(next(iter(tensors.values())))):
            path = tmp_path / f"{number}.safetensors"
            write_state(path, {name: rows[number] for name, rows in tensors.items()}, {})
            found.append(StateFile(path))
        return found

    return write


def test_agreeing_and_other_coordinates_of_the_largest_changed_tensor(stored):
    vectors = stored(
        frozen=torch.zeros(3, 50), layer=LAYER.view(3, 2, 3), other=LAYER, small=torch.ones(3, 2)
    )
    found = sample(vectors, each=2)
    assert (found.tensor, found.size, found.agreeing) == ("layer", 6, 3)
    # Of the agreeing 0, 1, 4 and the others 2, 3, 5, evenly spread.
    assert found.places.tolist() == [0, 1, 2, 3]
    assert torch.equal(found.values, LAYER[:, :4])


def test_where_one_kind_is_rare_there_are_fewer(stored):
    assert sample(stored(layer=LAYER), each=9).places.tolist() == [0, 1, 2, 3, 4, 5]
    alone = sample(stored(layer=LAYER[1:2]), each=2)
    assert (alone.agreeing, alone.places.tolist()) == (6, [0, 3])


def test_vectors_that_change_nothing_have_no_signs(stored):
    vectors = stored(layer=torch.zeros(2, 5))
    with pytest.raises(UserError, match=r"0\.safetensors: all numbers of this vector are 0"):
        sample(vectors)
