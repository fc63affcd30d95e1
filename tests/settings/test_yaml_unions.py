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
    "a missing kind": ("animals: {a: {lives: 3}}", "the key animals.a.kind is missing"),
    "a key of the other member": (
        "animals: {a: {kind: dog, lives: 3}}",
        f"unknown key 'lives' in animals.a; valid: {DOG}",
    ),
    "a value in another union inside": (
        "animals: {a: {kind: cat, inner: {either: {x: 0}}}}",
        "animals.a.inner.either.x is 0: input should be greater than 0",
    ),
    "two members with a mistake each": (
        "animals: {a: {kind: cat, live: 3}, b: {kind: dog, bark: 5}}",
        f"unknown key 'live' in animals.a; did you mean 'lives'? valid: {CAT} (and 1 more)",
    ),
    "a value of a free key": (
        "open: {anything: []}",
        "open.anything is []: input should be a valid boolean or input should be a valid number",
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
