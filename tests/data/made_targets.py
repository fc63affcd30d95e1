"""Small sets in the exact layouts of those that CLIP forgets: a few images a class.

Each function gives a `Made`. Images are all different.
"""

import gzip
import struct

import numpy as np
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
        "train-images": tar({f"cars_train/{n + 1:05}.jpg": one for n, one in enumerate(train)}),
        "test-images": tar({f"cars_test/{n + 1:05}.jpg": one for n, one in enumerate(test)}),
        "test-labels": annotations("test"),
    }
    expected = {
        split: [(label - 1, one) for label, one in zip(classes[split], images, strict=True)]
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
