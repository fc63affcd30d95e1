"""Class names stand at the labels that the archives' ids and files give."""

import pytest
from timm.data import ImageNetInfo

# Of each set whose labels number ids or the lines of a file: label, id in the archive, and name.
# WordNet ids of ImageNet and Tiny ImageNet (wnids.txt, sorted), folders of CUB and SUN397, and the
# numbers of cars_meta.mat, which count from 1.
MEANINGS = {
    "tiny-imagenet": [(0, "n01443537", "goldfish"), (199, "n12267677", "acorn")],
    "imagenet": [(0, "n01440764", "tench"), (999, "n15075141", "toilet paper")],
    "cub": [(0, "001", "Black footed Albatross"), (199, "200", "Common Yellowthroat")],
    "cars": [
        (0, 1, "AM General Hummer SUV 2000"),
        (3, 4, "Acura TL Type-S 2008"),
        (195, 196, "smart fortwo Convertible 2012"),
    ],
    "sun397": [
        (0, "/a/abbey", "abbey"),
        (206, "/j/jail_cell", "jail cell"),
        (207, "/j/jail/indoor", "jail indoor"),
        (396, "/y/youth_hostel", "youth hostel"),
    ],
}


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
