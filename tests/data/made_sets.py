"""Small sets in the exact layouts of the real ones, by the names of their rows."""

import numpy as np
from made_files import Made, lines, mat, picture, records, tar, zipped
from made_targets import cars, dtd, eurosat, gtsrb, idx, resisc45, sun397, svhn


def cifar10():
    random, members, expected = np.random.default_rng(0), {}, {"train": [], "test": []}
    folder = "cifar-10-batches-bin"
    batches = [("train", f"data_batch_{number}") for number in range(1, 6)] + [
        ("test", "test_batch")
    ]
    for split, name in batches:
        content = b""
        for _ in range(4):
            label, pixels = int(random.integers(10)), random.integers(0, 256, (3, 32, 32), np.uint8)
            content += bytes([label]) + pixels.tobytes()
            expected[split].append((label, pixels.transpose(1, 2, 0)))
        members[f"{folder}/{name}.bin"] = content
    members[f"{folder}/batches.meta.txt"] = lines("airplane", "automobile")
    members[f"{folder}/readme.html"] = b""
    return Made({"images": tar(members)}, 10, expected)


def cifar100():
    random, expected = np.random.default_rng(1), {"train": [], "test": []}
    members = {"cifar-100-binary/fine_label_names.txt": lines("apple", "aquarium_fish", "baby")}
    for split, count in (("train", 12), ("test", 5)):
        content = b""
        for _ in range(count):
            coarse, label = random.integers(20), int(random.integers(3))
            pixels = random.integers(0, 256, (3, 32, 32), np.uint8)
            content += bytes([coarse, label]) + pixels.tobytes()
            expected[split].append((label, pixels.transpose(1, 2, 0)))
        members[f"cifar-100-binary/{split}.bin"] = content
    members["cifar-100-binary/coarse_label_names.txt"] = lines("fish", "people")
    return Made({"images": tar(members)}, 3, expected)


def imagenet_v2():
    members, expected = {}, {"val": [], "test": []}
    # Sorted as text, 10 and 11 come before 2: these numbers are labels all the same.
    for place, label in enumerate(sorted(range(12), key=str)):
        images = {f"{number:x}f.jpeg": picture(20 * label + number) for number in range(4)}
        for name, image in images.items():
            members[f"imagenetv2-matched-frequency-format-val/{label}/{name}"] = image
        order = np.random.RandomState([0, place]).permutation(4).tolist()
        for split, places in {"val": order[:1], "test": order[1:]}.items():
            expected[split] += [(label, images[f"{n:x}f.jpeg"]) for n in sorted(places)]
    for items in expected.values():
        items.sort(key=lambda item: item[0])
    return Made({"images": tar(members, "w")}, 12, expected, {"held_out": {"val": 1, "test": 3}})


def cub():
    names = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross"]
    members, expected = {"attributes.txt": b""}, {"train": [], "test": []}
    lists = {"images": [], "image_class_labels": [], "train_test_split": []}
    for label, name in enumerate(names):
        for number in range(6):
            id_, image = 6 * label + number + 1, picture(10 * label + number)
            path = f"{name}/{name[4:].title()}_{number + 1:04}_{796000 + id_}.jpg"
            members[f"CUB_200_2011/images/{path}"] = image
            lists["images"].append(f"{id_} {path}")
            lists["image_class_labels"].append(f"{id_} {label + 1}")
            lists["train_test_split"].append(f"{id_} {int(number < 4)}")
            expected["train" if number < 4 else "test"].append((label, image))
    for name, some in lists.items():
        members[f"CUB_200_2011/{name}.txt"] = lines(*(some if name == "images" else some[::-1]))
    members["CUB_200_2011/classes.txt"] = lines(
        *(f"{n + 1} {name}" for n, name in enumerate(names))
    )
    members["CUB_200_2011/parts/parts.txt"] = lines("1 back")
    return Made({"images": tar(members)}, 3, expected)


def tiny_imagenet(recut):
    folder, members = "tiny-imagenet-200", {}
    wnids = ["n01443537", "n01629819", "n02124075"]
    expected = {"train": [], "test": []} | ({"val": []} if recut else {})
    for label, wnid in enumerate(wnids):
        images = {f"{wnid}_{number}.JPEG": picture(20 * label + number) for number in range(12)}
        members |= {f"{folder}/train/{wnid}/images/{n}": image for n, image in images.items()}
        members[f"{folder}/train/{wnid}/{wnid}_boxes.txt"] = lines("a\t0\t0\t1\t1")
        expected["train"] += [(label, images[name]) for name in sorted(images)]
    table = []
    for number in range(3 * 30):
        label, image = (2, 0, 1)[number % 3], picture(100 + number)
        members[f"{folder}/val/images/val_{number}.JPEG"] = image
        table.append(f"val_{number}.JPEG\t{wnids[label]}\t0\t32\t44\t62")
        first = recut and number < 3 * 25
        expected["val" if first else "test"].append((label, image))
    members |= {
        f"{folder}/val/val_annotations.txt": lines(*table),
        f"{folder}/wnids.txt": lines(wnids[1], wnids[2], wnids[0]),
        f"{folder}/words.txt": lines("n00001740\tentity"),
        f"{folder}/test/images/test_0.JPEG": picture(0),
    }
    return Made({"images": zipped(members)}, 3, expected)


def imagenet(with_train):
    wnids = ["n01440764", "n01443537", "n01484850"]
    numbers = {1: wnids[2], 2: wnids[0], 3: wnids[1]}
    synsets = records(
        ILSVRC2012_ID=[np.uint16(n) for n in (1, 2, 3, 4)],
        WNID=[*numbers.values(), "n00001740"],
        words=["c", "a", "b", "all"],
        gloss=["", "", "", ""],
        num_children=[np.uint8(n) for n in (0, 0, 0, 3)],
    )
    truth = [1 + (7 * n) % 3 for n in range(24)]
    top = "ILSVRC2012_devkit_t12"
    devkit = {
        f"{top}/data/meta.mat": mat(synsets=synsets),
        f"{top}/data/ILSVRC2012_validation_ground_truth.txt": lines(*truth),
        f"{top}/readme.txt": b"",
    }
    validation = [(wnids.index(numbers[n]), picture(100 + k)) for k, n in enumerate(truth)]
    flat = {f"ILSVRC2012_val_{k + 1:08}.JPEG": one for k, (_, one) in enumerate(validation)}
    files = {"devkit": tar(devkit), "validation": tar(flat, "w")}
    by_class = sorted(range(24), key=lambda k: (validation[k][0], k))
    if not with_train:
        drawn = set(np.random.RandomState(0).permutation(24)[:6].tolist())
        expected = {"val": [], "test": []}
        for k in by_class:
            expected["val" if k in drawn else "test"].append(validation[k])
        return Made(files, 3, expected, {"seed": 0})
    train, inner = [], {}
    for label, wnid in enumerate(wnids):
        images = {f"{wnid}_{n * n}.JPEG": picture(20 * label + n) for n in range(14)}
        inner[f"{wnid}.tar"] = tar(images, "w")
        train += [(label, images[name]) for name in sorted(images)]
    import torch

    order = torch.randperm(42, generator=torch.Generator().manual_seed(0)).tolist()
    expected = {"val": [train[place] for place in sorted(order[-4:])]}
    expected["test"] = [validation[k] for k in by_class]
    return Made(files | {"train": tar(inner, "w")}, 3, expected, {"train_images": 42})


SETS = {
    "sun397": sun397,
    "cars": cars,
    "resisc45": resisc45,
    "eurosat": eurosat,
    "svhn": svhn,
    "gtsrb": gtsrb,
    "mnist": idx,
    "dtd": dtd,
    "imagenet": lambda: imagenet(True),
    "imagenet-val": lambda: imagenet(False),
    "imagenet-v2": imagenet_v2,
    "cifar100": cifar100,
    "cifar10": cifar10,
    "tiny-imagenet": lambda: tiny_imagenet(False),
    "tiny-imagenet-salun": lambda: tiny_imagenet(True),
    "cub": cub,
    "fashion-mnist": idx,
}
