"""Prompts are filled, and class names stand at the labels that the archives' ids and files give."""

import pytest
from timm.data import ImageNetInfo

from negmerge.models.clip import fill

# Of each set whose labels number ids or the lines of a file: label, id in the archive, and name.
# WordNet ids of ImageNet and Tiny ImageNet (wnids.txt, sorted), folders of CUB and SUN397, and the
# numbers of cars_meta.mat, which count from 1.
MEANINGS = {
    "tiny-imagenet": [
        (0, "n01443537", "goldfish"),
        (11, "n01855672", "goose"),
        (199, "n12267677", "acorn"),
    ],
    "imagenet": [
        (0, "n01440764", "tench"),
        (779, "n04146614", "school bus"),
        (999, "n15075141", "toilet paper"),
    ],
    "cub": [
        (0, "001.Black_footed_Albatross", "Black footed Albatross"),
        (109, "110.Geococcyx", "Geococcyx"),
        (199, "200.Common_Yellowthroat", "Common Yellowthroat"),
    ],
    "cars": [
        (0, 1, "AM General Hummer SUV 2000"),
        (3, 4, "Acura TL Type-S 2008"),
        (172, 173, "Porsche Panamera Sedan 2012"),
        (195, 196, "smart fortwo Convertible 2012"),
    ],
    "sun397": [
        (0, "/a/abbey", "abbey"),
        (206, "/j/jail_cell", "jail cell"),
        (207, "/j/jail/indoor", "jail indoor"),
        (396, "/y/youth_hostel", "youth hostel"),
    ],
}


def test_the_class_name_stands_at_each_place():
    templates = ["a photo of a {}.", "{} and {}", 'the number: "{}".']
    assert fill(templates, "{x} %s") == [
        "a photo of a {x} %s.",
        "{x} %s and {x} %s",
        'the number: "{x} %s".',
    ]


@pytest.mark.parametrize("dataset", MEANINGS)
def test_a_class_is_called_what_its_id_in_the_archive_means(catalogue, dataset):
    names, meanings = catalogue.prompts[dataset].classes, MEANINGS[dataset]
    called = [(label, place, names[label]) for label, place, _ in meanings]
    assert called == meanings
    assert {meanings[0][0], meanings[-1][0]} == {0, len(names) - 1}


def test_the_names_of_tiny_imagenet_stand_in_the_order_of_their_wordnet_ids(catalogue):
    imagenet = ImageNetInfo()
    # Of the two cranes, the later id is the machine, which is the one in Tiny ImageNet.
    wnids = {
        imagenet.label_name_to_description(wnid).split(", ")[0]: wnid
        for wnid in imagenet.label_names()
    }
    names = catalogue.prompts["tiny-imagenet"].classes
    assert names == sorted(names, key=wnids.__getitem__)
    assert catalogue.prompts["tiny-imagenet-salun"].classes == names


def test_the_wordnet_ids_of_imagenet_stand_at_their_labels():
    wnids = ImageNetInfo().label_names()
    assert wnids == sorted(wnids)
    assert all(wnids[label] == wnid for label, wnid, _ in MEANINGS["imagenet"])


def test_the_names_of_sun397_stand_in_the_order_of_their_folders(catalogue):
    names = catalogue.prompts["sun397"].classes
    folders = [f"{name[0]}_{name}".replace(" ", "_") for name in names]
    assert folders == sorted(folders)
