import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.adapters.paths import find_modules
from negmerge.errors import UserError


def find(paths, modules, fits=lambda path, module: True):
    return find_modules(paths, set(modules), fits, "adapter")


def layers(*heads, tails=("q", "mlp.up")):
    return [f"{head}.{number}.{tail}" for head in heads for number in range(2) for tail in tails]


@pytest.mark.parametrize(
    ("paths", "modules"),
    [
        ("transformer.h", "h"),
        ("h", "transformer.h"),
        ("vision_model.encoder.layers", "encoder.layers"),
        ("model.language_model.layers", "model.layers"),
        ("model.language_model.layers", "language_model.model.layers"),
        ("model.visual.blocks", "visual.blocks"),
    ],
)
def test_a_prefix_may_differ(paths, modules):
    expected = dict(zip(layers(paths), layers(modules), strict=True))
    assert find(layers(paths), [*layers(modules), *layers("other.parts")]) == expected


def test_another_part_of_a_model_is_not_meant():
    assert find(layers("encoder.layers"), layers("decoder.layers")) == {}
    assert find(layers("model.layers"), layers("model.blocks")) == {}
    with pytest.raises(UserError, match=r"'layers.0.mlp.up' could be any of a.layers.*b.layers"):
        find(layers("layers"), layers("a.layers", "b.layers"))
    with pytest.raises(UserError, match=r"both fit 'layers.0.mlp.up' of the base"):
        find(layers("vision.layers", "text.layers"), layers("layers"))


def test_modules_outside_the_layers():
    modules = [*layers("language_model.model.layers"), "language_model.model.embed", "tail.head"]
    paths = [*layers("model.language_model.layers"), "model.language_model.embed", "head", "none"]
    found = find(paths, modules)
    assert found["model.language_model.embed"] == "language_model.model.embed"
    assert found["head"] == "tail.head"
    assert "none" not in found


NAMES = st.sampled_from(["a", "b", "layers", "0", "1", "q"])
PATHS = st.sets(st.lists(NAMES, min_size=1, max_size=4).map(".".join), max_size=6)


@given(PATHS, PATHS)
def test_what_is_found_is_of_the_base_and_never_twice(paths, modules):
    try:
        found = find(paths, modules)
    except UserError:
        return
    assert found.keys() <= paths
    assert set(found.values()) <= modules
    assert len(set(found.values())) == len(found)
    assert {path for path in paths if path in modules} <= found.keys()
