"""A saved state that is damaged, hostile or of another run is not used, and a line says why."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from training_run import (
    RUN,
    Killed,
    assert_same,
    train,
)

from negmerge.checkpoints.states import read_metadata, read_state, write_state
from negmerge.jobs import resuming


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def foreign_file(path):
    save_file(load_file(path), path)


def header_of_no_state(path):
    save_file(load_file(path), path, metadata={"negmerge": json.dumps(["run"])})


def nested_header(path):
    save_file(load_file(path), path, metadata={"negmerge": "[" * 100_000})


def huge_header(path):
    path.write_bytes(b"\xff" * 7 + b"\x00" + path.read_bytes()[8:])


def lying_offsets(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = next(name for name in header if name != "__metadata__")
    header[name]["data_offsets"] = [0, 2**60]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


NOT_WHOLE = r"not a whole safetensors file \(.*\); delete it, and make or fetch it again"
NUMBER, COUNT = torch.zeros(5), torch.zeros(4, dtype=torch.int64)
FILES = [
    (truncate, NOT_WHOLE),
    (huge_header, NOT_WHOLE),
    (lying_offsets, NOT_WHOLE),
    (foreign_file, "it belongs to another run"),
    (header_of_no_state, "it belongs to another run"),
    (nested_header, r"its header entry `negmerge` is not JSON \(.*\)"),
    (flip_a_bit, "its numbers are not those that were saved"),
]
# Tensors that are added, or taken away by None; entries of the header; the reason.
CONTENTS = [
    ({}, {"done": 10}, "10 steps done, expected 1 to 9"),
    ({}, {"done": True}, "True steps done, expected 1 to 9"),
    ({"model.0.bias": None}, {}, r"tensor '0\.bias' is missing \(1 in all\)"),
    ({"model.0.bias": NUMBER}, {}, r"tensor '0\.bias' has shape \[5\], expected \[4\]"),
    ({"model.0.bias": COUNT}, {}, r"tensor '0\.bias' holds torch\.int64, expected torch\.float32"),
    ({"optimizer.9.step": torch.zeros(())}, {}, r"no parameter '9', expected 0\.\.5"),
    (
        {"optimizer.0.exp_avg": None},
        {},
        r"optimizer, parameter 0: tensor 'exp_avg' is missing \(1 in all\)",
    ),
    ({"generator.0": None}, {}, r"tensor '0' is missing \(1 in all\)"),
]


def assert_unused(start, lines, spoil, reason):
    with pytest.raises(Killed):
        train(start(), during=4)
    saved = start()
    spoil(saved.path)
    assert_same(train(saved))
    (line,) = lines
    assert "\n" not in line
    head = f"the saved state is not used, training starts anew: {saved.path}: "
    assert line.startswith(head)
    assert re.fullmatch(reason, line.removeprefix(head)), line


@pytest.mark.parametrize(("spoil", "reason"), FILES)
def test_a_spoilt_file_is_not_used(start, lines, spoil, reason):
    assert_unused(start, lines, spoil, reason)


@pytest.mark.parametrize(("tensors", "header", "reason"), CONTENTS)
def test_a_state_that_does_not_fit_is_not_used(start, lines, tensors, header, reason):
    def rewrite(path):
        state = {n: t for n, t in (read_state(path) | tensors).items() if t is not None}
        content = {"content": resuming.content_digest(state)}
        write_state(path, state, read_metadata(path) | content | header)

    assert_unused(start, lines, rewrite, reason)


@pytest.mark.parametrize("run", [{"params": {"a": 2}, "inputs": ["b"]}, RUN | {"inputs": ["c"]}])
def test_a_state_of_another_run_is_not_used(start, lines, run):
    with pytest.raises(Killed):
        train(start(), during=4)
    saved = start(run)
    assert_same(train(saved))
    assert lines == [
        f"the saved state is not used, training starts anew: {saved.path}: it belongs to another "
        "run"
    ]
