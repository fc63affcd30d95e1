"""Which of the merged vectors a choice names."""

import json

import pytest

from negmerge.errors import UserError
from negmerge.merging.pool import chosen_vectors

VECTORS = ["vectors/e8-ls0.safetensors", "vectors/e8-ls0.1.safetensors"]


def write(path, content):
    """Write the choices of two rules, of which one is always right."""
    choices = [{"vector": "e8-ls0.1", "rule": "retain"}, {"rule": "gap"} | content]
    path.write_text(json.dumps(choices))
    return path


def test_a_choice_is_found_by_its_name(tmp_path):
    for place, name in enumerate(("e8-ls0", "e8-ls0.1")):
        assert chosen_vectors(write(tmp_path / "choice.json", {"vector": name}), VECTORS) == {
            "retain": 1,
            "gap": place,
        }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"vector": "e8-ls"}, "unknown vector 'e8-ls'; did you mean 'e8-ls0'? valid: e8-ls0, "),
        ({"vector": None}, "unknown vector None; valid: e8-ls0, e8-ls0.1"),
        ({}, "the key 'vector' is missing; delete it and run again"),
    ],
)
def test_a_choice_of_another_pool_is_refused(tmp_path, content, message):
    path = write(tmp_path / "choice.json", content)
    with pytest.raises(UserError) as caught:
        chosen_vectors(path, VECTORS)
    assert str(caught.value).startswith(f"{path}: {message}")
