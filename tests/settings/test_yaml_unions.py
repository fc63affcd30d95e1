from typing import Annotated, Literal

import pytest
from pydantic import ConfigDict, Field, PositiveInt

from negmerge.errors import UserError
from negmerge.settings.load import read_yaml
from negmerge.settings.recipe import Settings


class Inner(Settings):
    rate: float = 1.0
    either: PositiveInt | dict[str, PositiveInt] = 1


class Cat(Settings):
    kind: Literal["cat"]
    lives: PositiveInt = 9
    inner: Inner = Inner()


class Dog(Settings):
    kind: Literal["dog"]
    bark: str = "wau"
    inner: Inner = Inner()


class Open(Settings):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, bool | float] = Field(init=False)
    own: int = 0


Animal = Annotated[Cat | Dog, Field(discriminator="kind")]


class Zoo(Settings):
    animals: dict[str, Animal] = Field({})
    row: list[Animal] = Field([])
    one: Animal | None = None
    open: Open = Open()


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "f.yaml"
        path.write_text(text)
        return read_yaml(path, Zoo)

    return read


CAT, DOG = "inner, kind, lives", "bark, inner, kind"
FINDINGS = {
    "an unknown kind": (
        "animals: {a: {kind: cot}}",
        "animals.a: unknown kind 'cot'; did you mean 'cat'? valid: cat, dog",
    ),
    "a kind that is no text": (
        "animals: {a: {kind: 3}}",
        "animals.a: unknown kind '3'; valid: cat, dog",
    ),
    "a missing kind": ("animals: {a: {lives: 3}}", "the key animals.a.kind is missing"),
    "a missing kind in a list": ("row: [{kind: cat}, {}]", "the key row.1.kind is missing"),
    "no mapping": ("animals: {a: 3}", "animals.a is 3: input should be a valid dictionary"),
    "an unknown key": (
        "animals: {a: {kind: cat, live: 3}}",
        f"unknown key 'live' in animals.a; did you mean 'lives'? valid: {CAT}",
    ),
    "a key of the other member": (
        "animals: {a: {kind: dog, lives: 3}}",
        f"unknown key 'lives' in animals.a; valid: {DOG}",
    ),
    "a key of the other member in an optional place": (
        "one: {kind: cat, bark: x}",
        f"unknown key 'bark' in one; valid: {CAT}",
    ),
    "a key in a list": (
        "row: [{kind: dog, barc: x}]",
        f"unknown key 'barc' in row.0; did you mean 'bark'? valid: {DOG}",
    ),
    "a key further inside": (
        "animals: {a: {kind: cat, inner: {rat: 1}}}",
        "unknown key 'rat' in animals.a.inner; did you mean 'rate'? valid: either, rate",
    ),
    "a value": (
        "animals: {a: {kind: cat, lives: 0}}",
        "animals.a.lives is 0: input should be greater than 0",
    ),
    "a value in another union inside": (
        "animals: {a: {kind: cat, inner: {either: {x: 0}}}}",
        "animals.a.inner.either.x is 0: input should be greater than 0",
    ),
    "neither of another union inside": (
        "animals: {a: {kind: dog, inner: {either: []}}}",
        "animals.a.inner.either is []: input should be a valid integer or input should be a valid "
        "dictionary",
    ),
    "a key called like a kind": (
        "animals: {cat: {kind: cat, dog: 1}}",
        f"unknown key 'dog' in animals.cat; valid: {CAT}",
    ),
    "two members with a mistake each": (
        "animals: {a: {kind: cat, live: 3}, b: {kind: dog, bark: 5}}",
        f"unknown key 'live' in animals.a; did you mean 'lives'? valid: {CAT} (and 1 more)",
    ),
    "a value of a free key": (
        "open: {anything: []}",
        "open.anything is []: input should be a valid boolean or input should be a valid number",
    ),
    "a value of an own key beside free ones": (
        "open: {own: x, anything: 1}",
        "open.own is 'x': input should be a valid integer",
    ),
}


@pytest.mark.parametrize(("text", "finding"), FINDINGS.values(), ids=FINDINGS)
def test_findings_in_unions_told_by_a_key(read, text, finding):
    with pytest.raises(UserError) as caught:
        read(text)
    assert str(caught.value).partition("f.yaml: ")[2] == finding


def test_what_is_given_is_read(read):
    found = read("animals: {a: {kind: cat, lives: 3}, b: {kind: dog}}\nopen: {x: true, own: 2}")
    assert found.animals == {"a": Cat(kind="cat", lives=3), "b": Dog(kind="dog")}
    assert (found.open.own, found.open.__pydantic_extra__) == (2, {"x": True})
