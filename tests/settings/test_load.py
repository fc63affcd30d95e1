"""Files of YAML 1.2 as typed settings, from one or several configuration folders."""

from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, PositiveInt

from negmerge.errors import UserError
from negmerge.settings.catalogue import load_catalogue
from negmerge.settings.load import load_yaml, read_yaml, write_yaml
from negmerge.settings.recipe import FileName, Positive, Settings
from negmerge.settings.study import load_study
from refusals import refused


class Inner(Settings):
    rate: Positive = 1.0
    count: PositiveInt = 1
    flag: bool = False
    either: PositiveInt | dict[str, PositiveInt] = 1


class Cat(Settings):
    kind: Literal["cat"]
    lives: PositiveInt = 9
    inner: Inner = Inner()


class Dog(Settings):
    kind: Literal["dog"]
    bark: str = "wau"


class Open(Settings):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, bool | float] = Field(init=False)


class Outer(Settings):
    name: str
    maybe: Inner | None = None
    many: dict[str, Inner] = Field({})
    files: dict[FileName, Inner] = Field({})
    animals: dict[str, Annotated[Cat | Dog, Field(discriminator="kind")]] = Field({})
    open: Open = Open()


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "f.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(path, Outer)

    return read


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
    (content,) = load_yaml(path)
    assert (content, type(content)) == (value, type(value))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
                    | st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
                    lambda inner: st.lists(inner, max_size=3)))  # fmt: skip
def test_what_is_written_is_read_again(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(write_yaml([value]))
    assert load_yaml(path) == [value]


def test_what_is_given_is_read_and_the_rest_has_defaults(read):
    content = read(
        "name: é\nmany:\n  a: &a {rate: 2, count: 3}\n  b:\n    <<: *a\n    rate: 4\n"
        "animals: {x: {kind: cat}, y: {kind: dog}}\nopen: {z: true}\n"
    )
    assert content.name == "é"
    assert content.many == {"a": Inner(rate=2, count=3), "b": Inner(rate=4, count=3)}
    assert content.animals == {"x": Cat(kind="cat"), "y": Dog(kind="dog")}
    assert content.open.__pydantic_extra__ == {"z": True}


# What a file holds, and what the line says.
WRONG = [
    ("", "empty"),
    ("name: x\nmaybe:\nname: y\n", "line 3", "'name' appears twice"),
    ("many:\n  a: &a {rate: 2}\n  b:\n    <<: *a\n    rate: 1\n    rate: 2\n", "line 6", "'rate'"),
    ("name: [x\nmaybe: 1\n", "line 2", "not valid YAML"),
    ("name: !!python/name:os.system\n", "line 1", "python/name"),
    (b"name: \xff\n", "not valid YAML", "position 6"),
    ("name: x\n---\nname: y", "line 2", "another document"),
    ("{name: x, mny: {}}", "unknown key 'mny'; did you mean 'many'?", "valid: animals, files"),
    ("{name: x, maybe: {zzz: 1}}", "unknown key 'zzz' in maybe; valid: count, either, flag, rate"),
    ("{name: x, many: {a: {cuont: 1}}}", "'cuont' in many.a; did you mean 'count'?"),
    ("{many: {}}", "the key name is missing"),
    ("{name: 5}", "name is 5", "string"),
    ("{name: x, 5: 6}", "the key 5 is not text"),
    ("{name: x, maybe: {rate: '1e-3'}}", "maybe.rate is '1e-3'", "write 1e-3"),
    ("{name: x, maybe: {rate: .inf}}", "maybe.rate is inf", "finite"),
    ("{name: x, maybe: {rate: 0}}", "maybe.rate is 0", "greater than 0"),
    ("{name: x, maybe: {rate: true}}", "maybe.rate is True", "number"),
    ("{name: x, maybe: {flag: 1}}", "maybe.flag is 1", "boolean"),
    ("{name: x, maybe: {count: 2.0}}", "maybe.count is 2.0", "integer"),
    ("{name: x, maybe: {either: []}}", "either is []", "integer or", "dictionary"),
    ("{name: x, maybe: {either: {a: 1, b: 0}}}", "maybe.either.b is 0", "greater than 0"),
    ("{name: 5, maybe: {rate: 0, count: 0}}", "name is 5", "(and 2 more)"),
    ("{name: x, files: {a b: {rate: 0}}}", "files.a b", "letters, digits", "(and 1 more)"),
    (f"{{name: x, maybe: {['y' * 70, 'long']}}}", f"maybe is ['{'y' * 70}', 'l...: "),
    ("{name: x, animals: {a: {kind: cot}}}", "animals.a: unknown kind 'cot'; did you mean 'cat'?"),
    ("{name: x, animals: {a: {lives: 3}}}", "the key animals.a.kind is missing"),
    ("{name: x, animals: {a: {kind: dog, lives: 3}}}", "'lives' in animals.a; valid: bark, kind"),
    ("{name: x, animals: {a: {kind: cat, inner: {either: {x: 0}}}}}", "a.inner.either.x is 0"),
    ("{name: x, open: {anything: []}}", "open.anything is []", "boolean or", "number"),
    # Names that mean something to a shell or in a path.
    *(
        (f'{{name: x, files: {{"{name}": {{}}}}}}', "becomes a file's name: ")
        for name in ("$(reboot)", "x;y", "../x", "x/../y", "/x", "..", "-rf", "*", "~")
    ),
]


@pytest.mark.parametrize(("text", "parts"), [(text, parts) for text, *parts in WRONG])
def test_the_line_names_the_key_what_was_found_and_what_is_expected(read, text, parts):
    place, _, finding = refused(lambda: read(text)).partition("f.yaml: ")
    assert place
    assert all(part in finding for part in parts), finding


def test_what_is_no_file_is_named(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UserError, match=f"^{path}: "):
            load_yaml(path)


@pytest.fixture
def both(config, tmp_path):
    """An empty folder of the user's, and the shipped one."""
    own = tmp_path / "own" / "config"
    (own / "studies").mkdir(parents=True)
    return own, config


def test_a_study_of_ones_own_extends_or_hides_a_shipped_one(both):
    own, shipped = both
    (own / "studies" / "mine.yaml").write_text("extends: example\ntitle: Of my own\n")
    mine = load_study(both, "mine")
    assert mine.title == "Of my own"
    assert mine.experiments == load_study(shipped, "example").experiments
    content = yaml.safe_load((shipped / "studies" / "example.yaml").read_text())
    (own / "studies" / "example.yaml").write_text(yaml.safe_dump(content | {"title": "Another"}))
    assert load_study(both, "example").title == "Another"


def test_rows_of_ones_own_stand_beside_the_shipped_ones_and_before_one_of_their_name(both):
    own, shipped = both
    row = yaml.safe_load((shipped / "models.yaml").read_text())["mini-clip"]
    rows = {"mini-clip": row | {"title": "Mine"}, "new": row}
    (own / "models.yaml").write_text(yaml.safe_dump(rows))
    known, known_there = load_catalogue(both), load_catalogue(shipped)
    assert known.models.keys() == known_there.models.keys() | {"new"}
    assert known.models["mini-clip"].title == "Mine"
    assert known.datasets == known_there.datasets


def test_an_error_names_the_file_of_the_folder_that_it_is_in(both):
    (both[0] / "studies" / "mine.yaml").write_text("extends: example\ntitel: x\n")
    with pytest.raises(UserError, match=f"^{both[0]}/studies/mine.yaml: unknown key 'titel'"):
        load_study(both, "mine")
    with pytest.raises(UserError, match=r"unknown study 'exmple'; did you mean 'example'"):
        load_study(both, "exmple")
