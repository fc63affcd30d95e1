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

from negmerge.jobs import resuming
from negmerge.states import read_metadata, read_state, write_state


def rewrite(path, change, header=None):
    """Save a state with changed tensors under a header that fits it."""
    state, old = read_state(path), read_metadata(path)
    change(state)
    content = {"content": resuming.content_digest(state)}
    write_state(path, state, old | content | (header or {}))


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


def too_many_steps(path):
    rewrite(path, lambda state: None, {"done": 10})


def no_number_of_steps(path):
    rewrite(path, lambda state: None, {"done": True})


def another_layer(path):
    rewrite(path, lambda state: state.pop("model.0.bias"))


def another_shape(path):
    rewrite(path, lambda state: state.update({"model.0.bias": torch.zeros(5)}))


def another_dtype(path):
    rewrite(path, lambda state: state.update({"model.0.bias": torch.zeros(4, dtype=torch.int64)}))


def another_parameter(path):
    rewrite(path, lambda state: state.update({"optimizer.9.step": torch.zeros(())}))


def another_optimizer(path):
    rewrite(path, lambda state: state.pop("optimizer.0.exp_avg"))


def another_generator(path):
    rewrite(path, lambda state: state.pop("generator.0"))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (truncate, r"not a whole safetensors file \(.*\); delete it and run again"),
        (huge_header, r"not a whole safetensors file \(.*\); delete it and run again"),
        (lying_offsets, r"not a whole safetensors file \(.*\); delete it and run again"),
        (foreign_file, "it is that of another run"),
        (header_of_no_state, "it is that of another run"),
        (nested_header, r"its header entry `negmerge` is not JSON \(.*\)"),
        (flip_a_bit, "its numbers are not those that were saved"),
        (too_many_steps, "10 steps done, expected 1 to 9"),
        (no_number_of_steps, "True steps done, expected 1 to 9"),
        (another_layer, r"tensor '0\.bias' is missing \(1 in all\)"),
        (another_shape, r"tensor '0\.bias' has shape \[5\], expected \[4\]"),
        (another_dtype, r"tensor '0\.bias' holds torch\.int64, expected torch\.float32"),
        (another_parameter, r"no parameter '9', expected 0\.\.5"),
        (another_optimizer, r"optimizer, parameter 0: tensor 'exp_avg' is missing \(1 in all\)"),
        (another_generator, r"tensor '0' is missing \(1 in all\)"),
    ],
)
def test_a_spoilt_state_is_not_used(start, lines, spoil, reason):
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


@pytest.mark.parametrize("run", [{"params": {"a": 2}, "inputs": ["b"]}, RUN | {"inputs": ["c"]}])
def test_a_state_of_another_run_is_not_used(start, lines, run):
    with pytest.raises(Killed):
        train(start(), during=4)
    saved = start(run)
    assert_same(train(saved))
    assert lines == [
        f"the saved state is not used, training starts anew: {saved.path}: it is that of another "
        "run"
    ]
