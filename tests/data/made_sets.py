"""Small sets in the exact layouts of the real ones, by the names of their rows."""

import gzip
import struct

import numpy as np
import torch
from made_files import Made, lines, mat, picture, records, tar, zipped


def sun397():
    members, lists = {"SUN397/ClassName.txt": lines("/a/abbey")}, {"Training": [], "Testing": []}
    expected = {"train": [], "test": []}
    for label, name in enumerate(["a/abbey", "j/jail_cell", "j/jail/indoor"]):
        for number in range(7):
            # Some files of the real set are of another kind than they say.
            image = picture(10 * label + number, "PNG" if number == 3 else "JPEG")
            line = f"/{name}/sun_{'abcdefg'[number]:a>16}.jpg"
            members[f"SUN397{line}"] = image
            if number < 6:
                lists["Training" if number < 4 else "Testing"].append(line)
                expected["train" if number < 4 else "test"].append((label, image))
    parts = {"ClassName.txt": lines("/a/abbey", "/j/jail/indoor", "/j/jail_cell")}
    for kind, names in lists.items():
        parts[f"{kind}_01.txt"] = lines(*sorted(names))
        parts[f"{kind}_02.txt"] = lines(*names[:2])
    return Made({"images": tar(members), "lists": zipped(parts)}, 3, expected)


def cars():
    train = [picture(number) for number in range(12)]
    test = [picture(100 + number) for number in range(5)]
    classes = {"train": [1 + (5 * n) % 3 for n in range(12)], "test": [3, 1, 2, 2, 1]}

    def annotations(split, *without):
        count = len(classes[split])
        columns = {
            f"bbox_{side}": [np.uint8(n) for n in range(count)] for side in ("x1", "y1", "x2", "y2")
        }
        columns["class"] = [np.uint8(label) for label in classes[split]]
        columns["fname"] = [f"{n + 1:05}.jpg" for n in range(count)]
        return mat(annotations=records(**{k: v for k, v in columns.items() if k not in without}))

    devkit = {
        "devkit/cars_meta.mat": mat(class_names=np.array([["A", "B", "C"]], object)),
        "devkit/cars_train_annos.mat": annotations("train"),
        "devkit/cars_test_annos.mat": annotations("test", "class"),
        "devkit/README.txt": b"",
    }
    files = {
        "devkit": tar(devkit),
        "train-images": tar({f"cars_train/{n + 1:05}.jpg": image for n, image in enumerate(train)}),
        "test-images": tar({f"cars_test/{n + 1:05}.jpg": image for n, image in enumerate(test)}),
        "test-labels": annotations("test"),
    }
    expected = {
        split: [(label - 1, image) for label, image in zip(classes[split], images, strict=True)]
        for split, images in (("train", train), ("test", test))
    }
    return Made(files, 3, expected)


def resisc45():
    members, names, expected = {}, {"train": [], "test": []}, {"train": [], "test": []}
    for label, name in enumerate(["airplane", "baseball_diamond", "sea_ice"]):
        for number in range(1, 8):
            file = f"{name}_{number:03}.jpg"
            image = members[f"NWPU-RESISC45/{name}/{file}"] = picture(10 * label + number)
            if number < 7:
                split = "train" if number < 5 else "test"
                names[split].append(file)
                expected[split].append((label, image))
    files = {f"{split}-list": lines(*reversed(some)) for split, some in names.items()}
    return Made(files | {"images": zipped(members)}, 3, expected)


def eurosat():
    members, expected = {"2750/": b""}, {"train": [], "val": [], "test": []}
    for label, (name, count) in enumerate([("AnnualCrop", 30), ("Forest", 20)]):
        files = [f"2750/{name}/{name}_{number}.jpg" for number in range(1, count + 1)]
        for number, file in enumerate(files):
            members[file] = picture(100 * label + number)
        expected[name] = [(label, members[file]) for file in sorted(files)]
    # Each class is drawn by itself: first its 3 validation images, then its 2 test images.
    for label, name in enumerate(("AnnualCrop", "Forest")):
        items = expected.pop(name)
        order = np.random.RandomState([0, label]).permutation(len(items)).tolist()
        for split, places in {"val": order[:3], "test": order[3:5], "train": order[5:]}.items():
            expected[split] += [items[place] for place in sorted(places)]
    options = {"held_out": {"val": 3, "test": 2}}
    return Made({"images": zipped(members)}, 2, expected, options)


def svhn():
    files, expected = {}, {}
    for split, count in (("train", 20), ("test", 7)):
        pixels = np.random.default_rng(count).integers(0, 256, (32, 32, 3, count), np.uint8)
        labels = 1 + np.arange(count, dtype=np.uint8) % 10
        files[split] = mat(X=pixels, y=labels[:, None])
        expected[split] = [(int(label) % 10, pixels[..., n]) for n, label in enumerate(labels)]
    return Made(files, 10, expected)


def gtsrb():
    train, expected = {}, {"train": [], "test": []}
    for label in range(3):
        folder = f"GTSRB/Training/{label:05}"
        for number in range(4):
            image = picture(10 * label + number, "PPM")
            train[f"{folder}/00000_{number:05}.ppm"] = image
            expected["train"].append((label, image))
        train[f"{folder}/GT-{label:05}.csv"] = lines("Filename;Width", "00000_00000.ppm;9")
    train["GTSRB/Readme-Images.txt"] = b""
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
    test, table = {"GTSRB/Readme-Images-Final-test.txt": b""}, [header]
    for number, label in enumerate([2, 0, 1, 1]):
        name, image = f"{number:05}.ppm", picture(100 + number, "PPM")
        test[f"GTSRB/Final_Test/Images/{name}"] = image
        table.append(f"{name};53;54;6;5;48;49;{label}")
        expected["test"].append((label, image))
    test["GTSRB/Final_Test/Images/GT-final_test.test.csv"] = lines(header.rpartition(";")[0])
    files = {
        "train": zipped(train),
        "test": zipped(test),
        "test-labels": zipped({"GT-final_test.csv": lines(*table, end="\r\n")}),
    }
    return Made(files, 3, expected)


def idx():
    pixels = np.random.default_rng(0).integers(0, 256, (25, 28, 28), np.uint8)
    labels = np.arange(25, dtype=np.uint8) % 10
    files, expected = {}, {}
    for split, some in (("train", slice(0, 20)), ("test", slice(20, 25))):
        images = pixels[some]
        header = struct.pack(">4i", 2051, *images.shape)
        files[f"{split}-images"] = gzip.compress(header + images.tobytes())
        header = struct.pack(">2i", 2049, len(images))
        files[f"{split}-labels"] = gzip.compress(header + labels[some].tobytes())
        grey = [np.stack([image] * 3, -1) for image in images]
        expected[split] = list(zip(labels[some].tolist(), grey, strict=True))
    return Made(files, 10, expected)


def dtd():
    members, expected, lists = {}, {"train": [], "test": []}, {}
    for label, name in enumerate(["banded", "polka-dotted", "waffled"]):
        for number in range(6):
            file, image = f"{name}/{name}_{number:04}.jpg", picture(10 * label + number)
            members[f"dtd/images/{file}"] = image
            part = ("train1", "val1", "test1")[number % 3]
            lists.setdefault(part, []).append(file)
            expected["test" if part == "test1" else "train"].append((label, image))
    members["dtd/images/waffled/.directory"] = b"[Dolphin]"
    for part, names in lists.items():
        members[f"dtd/labels/{part}.txt"] = lines(*reversed(names))
        members[f"dtd/labels/{part.replace('1', '2')}.txt"] = lines(*names)
    members["dtd/imdb/imdb.mat"] = mat(x=1)
    return Made({"images": tar(members)}, 3, expected)


def cifar(folder, classes, batches, coarse=b""):
    random, expected = np.random.default_rng(0), {"train": [], "test": []}
    members = {f"{folder}/readme.html": b""}
    for name, (split, count) in batches.items():
        content = b""
        for _ in range(count):
            label = int(random.integers(classes))
            pixels = random.integers(0, 256, (3, 32, 32), np.uint8)
            content += coarse + bytes([label]) + pixels.tobytes()
            expected[split].append((label, pixels.transpose(1, 2, 0)))
        members[f"{folder}/{name}.bin"] = content
    return Made({"images": tar(members)}, classes, expected)


CIFAR10 = {f"data_batch_{number}": ("train", 4) for number in range(1, 6)}
CIFAR10["test_batch"] = ("test", 4)
CIFAR100 = {"train": ("train", 12), "test": ("test", 5)}


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
    flat = {f"ILSVRC2012_val_{k + 1:08}.JPEG": image for k, (_, image) in enumerate(validation)}
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
    "cifar100": lambda: cifar("cifar-100-binary", 3, CIFAR100, coarse=b"\x07"),
    "cifar10": lambda: cifar("cifar-10-batches-bin", 10, CIFAR10),
    "tiny-imagenet": lambda: tiny_imagenet(False),
    "tiny-imagenet-salun": lambda: tiny_imagenet(True),
    "cub": cub,
    "fashion-mnist": idx,
}
