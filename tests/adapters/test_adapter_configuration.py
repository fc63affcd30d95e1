import json

import pytest

from negmerge.adapters.configuration import read_configuration
from negmerge.errors import UserError


def written(folder, text):
    (folder / "adapter_config.json").write_text(text)
    return folder


def read(folder, **keys):
    return read_configuration(written(folder, json.dumps({"peft_type": "LORA"} | keys)))


REFUSED = [
    ({"use_dora": True}, r"DoRA \(use_dora\) is not supported, only plain LoRA is"),
    ({"layer_replication": [[0, 4], [2, 5]]}, "replicated layers"),
    ({"peft_type": "IA3"}, "peft_type 'IA3' is not supported, only 'LORA' is"),
    ({"init_lora_weights": "pissa_niter_4"}, "'pissa_niter_4' took a part out of the base"),
    ({"init_lora_weights": "new"}, "init_lora_weights 'new' is not known"),
    ({"enable_lora": [True, False, True]}, "key 'enable_lora' is not known and could change"),
    ({"r": "many"}, r"r: Input should be a valid integer.*found 'many'"),
    ({"rank_pattern": {"(": 4}}, r"'\(' is not a regular expression"),
    ({"peft_type": None, "fine_tune_type": "lora", "lora_parameters": {}}, "an adapter of MLX"),
    ({"peft_type": None, "name": "x"}, "not a configuration of a PEFT adapter"),
]


@pytest.mark.parametrize(("keys", "message"), REFUSED)
def test_what_is_refused(tmp_path, keys, message):
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path, **keys)
    assert str(error.value).startswith(f"{tmp_path / 'adapter_config.json'}: ")
    assert "\n" not in str(error.value)


def test_files_that_are_no_configuration(tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    for text, message in ((pointer, "git lfs pull"), ('{"r": 8', "JSON file"), ("[1]", "object")):
        with pytest.raises(UserError, match=message):
            read_configuration(written(tmp_path, text))


def test_what_is_missing_or_null_is_the_default_of_peft(tmp_path):
    found = read(tmp_path, lora_alpha=None, rank_pattern=None, target_parameters=None)
    assert (found.rank("a.q"), found.scale("a.q")) == (8, 1)
    # Keys without effect, and unknown ones that are off, are let through.
    read(tmp_path, lora_dropout=0.1, new=None, other=False, more={}, init_lora_weights="gaussian")


def test_a_base_that_cannot_be_the_one_given_is_told(tmp_path):
    def note(name):
        return read(tmp_path, base_model_name_or_path=name).note()

    assert "names the quantised base" in note("unsloth/Llama-3.2-1B-bnb-4bit")
    assert "a path" in note("/home/me/model")
    assert note("org/model") is note(None) is None


def test_the_first_pattern_that_fits_the_end_of_a_path_counts(tmp_path):
    found = read(tmp_path, r=4, rank_pattern={r"layers\.1\.q": 2, "q": 3, "^v": 5})
    paths = ["layers.1.q", "layers.11.q", "layers.1.q.z", "v", "a.v", "kq", "a.layers.1.q"]
    assert [found.rank(path) for path in paths] == [2, 3, 4, 5, 4, 4, 2]
