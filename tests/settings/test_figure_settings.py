"""Figures of the kinds gradcam and signs in a study: where their data lie, what is refused."""

import pytest

from negmerge import artefacts
from negmerge.errors import UserError
from negmerge.settings.exhibits import Figure
from negmerge.settings.study import load_study

GRADCAM = {
    "kind": "gradcam", "title": "x", "experiments": ["mini-clip", "mini-resnet"],
    "methods": {"negmerge": "NegMerge"},
}  # fmt: skip
SIGNS = GRADCAM | {"kind": "signs"}


@pytest.fixture
def load(config, change_yaml):
    """A function that reads the example study with a figure and other changes."""
    path = config / "studies" / "example.yaml"

    def read(figure, **changes):
        change_yaml(path, "figures/own", figure)
        for place, value in changes.items():
            change_yaml(path, place, value)
        return load_study(config, "example")

    return read


def test_their_data_lie_in_the_folder_of_each_task(load):
    study = load(GRADCAM)
    (found,) = artefacts.figure_data(study, study.figures["own"]).items()
    tasks = ("mini-clip/digits", "mini-clip/letters", "mini-resnet/trial1", "mini-resnet/trial2")
    assert found == ("gradcam", [f"{task}/gradcam/{{figure}}.safetensors" for task in tasks])
    signs = Figure(**SIGNS | {"experiments": ["mini-resnet"], "tasks": ["trial2"]})
    assert artefacts.figure_data(study, signs) == {
        "signs": ["mini-resnet/trial2/signs/{figure}.json"]
    }


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        (GRADCAM | {"methods": {}},
         "figures.own: methods: a figure of kind gradcam needs at least one"),
        (SIGNS | {"methods": {}},
         "figures.own: methods: a figure of kind signs needs at least one"),
        (SIGNS | {"methods": {"task-arithmetic": "x"}},
         "figures.own: methods: 'task-arithmetic' merges nothing, and a figure of kind signs shows "
         "merges"),
        (SIGNS | {"experiments": ["mini-resnet"], "methods": {"negmerge": "x", "negmerge-8": "y"}},
         "figures.own: 'negmerge-8' merges other points of 'mini-resnet' than 'negmerge'; expected "
         "merges of the same points"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused(load, figure, message):
    with pytest.raises(UserError) as caught:
        load(figure)
    assert str(caught.value).endswith(f"example.yaml: {message}")


def test_a_linearised_network_has_no_map(load):
    with pytest.raises(UserError) as caught:
        load(GRADCAM, **{"experiments/mini-clip/mode": "linear"})
    assert str(caught.value).endswith(
        "figures.own: 'mini-clip' is of mode linear, whose logits are not made of the activations "
        "that Grad-CAM weighs; expected mode standard"
    )


@pytest.mark.parametrize("study", ["demo", "paper"])
def test_both_studies_have_the_paper_s_figures_of_networks(config, study):
    figures = load_study(config, study).figures
    kinds = {name: figure.kind for name, figure in figures.items()}
    assert kinds["figure2"] == "signs"
    assert kinds["figure3"] == kinds["figure3-classifier"] == "gradcam"
    for name in ("figure3", "figure3-classifier"):
        base, *merges = figures[name].methods
        assert base in ("pretrained", "original")
        assert merges == ["negmerge", "conflict"]
