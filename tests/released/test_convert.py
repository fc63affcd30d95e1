import json
import os
import shutil

import pytest
import torch

from negmerge.checkpoints.states import read_metadata, read_state
from negmerge.cli import main
from negmerge.merging import merge_files
from negmerge.models.clip import VisionTransformer
from negmerge.released.converting import output_name
from released_files import save_head, save_linear, save_whole, text_part, with_released_names


def small_tensors(seed):
    """Make up an encoder with its released names."""
    torch.manual_seed(seed)
    tower = VisionTransformer(4, image_size=8, patch_size=4, width=8, layers=1, head_width=4)
    image = {f"visual.{name}": tensor for name, tensor in tower.state_dict().items()}
    return image, with_released_names(image, text_part(6, 11, 5, 4))


@pytest.fixture
def released(tmp_path, monkeypatch):
    """A folder with files as published: a base, a pool of three, a head and a linear encoder."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("released")
    image, tensors = small_tensors(0)
    save_whole("released/zeroshot.pt", tensors)
    save_head("released/head_CarsVal.pt", torch.randn(3, 4))
    save_linear("released/linear_finetuned.pt", small_tensors(4)[1], tensors)
    for seed, point in enumerate(("m1-n1", "m2-n1", "m10-n3"), 1):
        path = f"released/clip-vit-b-32_cars_rand-{point}_finetuned.pt"
        torch.save(small_tensors(seed)[1], path)
    return image


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_becomes_a_base_and_a_pool_that_merge(released, tmp_path, capsys):
    assert main(["convert", "released", "-o", "out"]) == 0
    lines = capsys.readouterr().out.splitlines()
    numbers = sum(tensor.numel() for tensor in small_tensors(0)[1].values())
    left = numbers - sum(tensor.numel() for tensor in released.values())
    assert (
        f"out/m10-n3.safetensors: encoder, 30 tensors, {numbers:,} numbers, "
        f"of which {left:,} of the text part" in lines
    )
    assert "out/head_CarsVal.safetensors: head, 2 tensors, 15 numbers" in lines
    points = ["m1-n1", "m10-n3", "m2-n1"]
    names = [*points, "linear_finetuned", "zeroshot"]
    assert files(tmp_path / "out") == sorted(
        [f"{name}.safetensors" for name in [*names, "head_CarsVal"]]
        + [f"text/{name}.safetensors" for name in names]
        + [f"start/{part}linear_finetuned.safetensors" for part in ("", "text/")]
    )
    base = read_state("out/zeroshot.safetensors")
    assert all(torch.equal(base[name], tensor) for name, tensor in released.items())
    start = read_state("out/start/linear_finetuned.safetensors")
    assert all(torch.equal(start[name], tensor) for name, tensor in released.items())
    pool = [f"out/{point}.safetensors" for point in points]
    report = merge_files("negmerge", pool, "merged", base="out/zeroshot.safetensors")
    assert report["numbers"] == numbers - left


def test_the_name_of_a_pools_file_is_its_point():
    assert output_name("clip-vit-b-32_cars_rand-m3-n2_finetuned.pt") == "m3-n2"
    assert output_name("checkpoints_rand-m10-n3/CarsVal/linear_finetuned.pt") == "m10-n3"
    assert output_name("head_CarsVal.pt") == "head_CarsVal"


def refused(capsys, *words):
    assert main(["convert", *words]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_nothing_is_overwritten_unless_asked(released, capsys):
    os.mkdir("more")
    shutil.copy("released/zeroshot.pt", "more")
    # Two files of one name are refused before anything is written.
    assert "more/zeroshot.pt: would be" in refused(capsys, "released", "more", "-o", "out")
    assert not os.path.exists("out")
    assert main(["convert", "released/zeroshot.pt", "-o", "out"]) == 0
    assert "out/zeroshot.safetensors: exists already" in refused(capsys, "released", "-o", "out")
    assert os.listdir("out/text") == ["zeroshot.safetensors"]
    assert main(["convert", "released", "-o", "out", "--force"]) == 0


def test_a_report_says_what_was_read_and_so_does_the_file(released, capsys):
    assert main(["convert", "released/head_CarsVal.pt", "-o", "out", "--json"]) == 0
    [record] = json.loads(capsys.readouterr().out)["files"]
    assert record["written"] == ["out/head_CarsVal.safetensors"]
    assert (record["kind"], record["notes"]) == ("head", {"normalize": True})
    header = read_metadata("out/head_CarsVal.safetensors")
    assert header["file"] == "head_CarsVal.pt"
    assert header["sha256"] == record["sha256"]
