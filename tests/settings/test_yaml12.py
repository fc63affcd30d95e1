import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import UserError
from negmerge.settings.load import load_yaml, write_yaml


def message(path):
    with pytest.raises(UserError) as caught:
        load_yaml(path)
    text = str(caught.value)
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("25e-7", 2.5e-6), ("1E5", 1e5), ("+.5", 0.5), ("-3", -3), ("010", 10),
        ("'1'", "1"), ("1_0", "1_0"), ("1:30", "1:30"), ("0x1f", "0x1f"), ("e3", "e3"),
        ("on", "on"), ("no", "no"), ("true", True), ("~", None), ("2020-01-01", "2020-01-01"),
    ],
)  # fmt: skip
def test_decimal_numbers_and_truth_values_are_those_of_yaml_1_2(tmp_path, text, value):
    path = tmp_path / "f.yaml"
    path.write_text(f"[{text}]")
    (found,) = load_yaml(path)
    assert (found, type(found)) == (value, type(value))


@given(st.floats(allow_nan=False))
def test_a_number_is_read_as_it_is_written(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "number.yaml"
    path.write_text(f"[{value!r}]".replace("inf", ".inf"))
    assert load_yaml(path) == [value]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
                    | st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
                    lambda inner: st.lists(inner, max_size=3)))  # fmt: skip
def test_what_is_written_is_read_again(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(write_yaml([value]))
    assert load_yaml(path) == [value]


REFUSED = {
    "empty": ("", "the file is empty"),
    "a key twice": (
        "name: x\neither: 1\nname: y\n",
        "line 3: not valid YAML: the key 'name' appears twice",
    ),
    "a key twice below a merge": (
        "name: x\nmany:\n  a: &a {rate: 2}\n  b:\n    <<: *a\n    count: 1\n    count: 2\n",
        "line 7: not valid YAML: the key 'count' appears twice",
    ),
    "an open bracket": (
        "name: [x\neither: 1\n",
        "line 2: not valid YAML: did not find expected ',' or ']'",
    ),
    "a tag": (
        "name: !!python/name:os.system\n",
        "line 1: not valid YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/name:os.system'",
    ),
    "not UTF-8": (
        b"name: \xff\n",
        "not valid YAML: 'utf-8' codec can't decode byte 0xff in position 6: invalid start byte",
    ),
    "two documents": (
        "name: x\n---\nname: y",
        "line 2: not valid YAML: but found another document",
    ),
}


@pytest.mark.parametrize(("text", "finding"), REFUSED.values(), ids=REFUSED)
def test_broken_files_are_refused(tmp_path, text, finding):
    path = tmp_path / "f.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert message(path) == finding


def test_what_is_no_file_is_named(tmp_path):
    assert message(tmp_path / "none.yaml") == "no such file"
    assert message(tmp_path) == "cannot be read: Is a directory"
