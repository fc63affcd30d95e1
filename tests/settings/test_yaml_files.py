from typing import Literal

import pytest
from pydantic import Field, PositiveInt

from negmerge.errors import UserError
from negmerge.scenarios.zero_shot.settings import ZeroShot
from negmerge.settings.checks import validate
from negmerge.settings.datasets import Dataset
from negmerge.settings.experiment import Selection
from negmerge.settings.load import read_yaml
from negmerge.settings.methods import Greedy
from negmerge.settings.recipe import Augmentation, FileName, Positive, Recipe, Settings


class Inner(Settings):
    rate: Positive = 1.0
    count: PositiveInt = 1
    flag: bool = False
    kind: Literal["a", "b"] = "a"


class Outer(Settings):
    name: str
    inner: Inner = Inner()
    maybe: Inner | None = None
    many: dict[str, Inner] = Field({})
    row: list[Inner] = Field([])
    either: PositiveInt | dict[str, PositiveInt] = 1
    values: dict[str, list[int | float | str]] = Field({})
    least: list[str] = Field(["x"], min_length=1)
    files: dict[FileName, Inner] = Field({})


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "f.yaml"
        path.write_text(text, encoding="utf-8")
        return read_yaml(path, Outer)

    return read


def message(read, text):
    with pytest.raises(UserError) as caught:
        read(text)
    text = str(caught.value)
    assert "\n" not in text
    _, found, finding = text.partition("f.yaml: ")
    assert found, text
    return finding


def test_what_is_given_is_read_and_the_rest_has_defaults(read):
    found = read(
        "name: é\ninner: {rate: 0.5, flag: true}\neither: {a: 2}\nvalues: {m: [1, 2.5, x]}"
    )
    assert found.name == "é"
    assert found.inner == Inner(rate=0.5, flag=True)
    assert found.either == {"a": 2}
    assert found.values == {"m": [1, 2.5, "x"]}


def test_a_whole_number_is_a_number_and_a_truth_value_is_none(read):
    assert read("{name: x, inner: {rate: 2}}").inner.rate == 2.0
    for place in ("rate: true", "count: true", "flag: 1", "count: 2.0", "rate: '2'"):
        assert " is " in message(read, f"{{name: x, inner: {{{place}}}}}"), place


def test_merged_anchors_may_be_overridden(read):
    found = read("many:\n  a: &a {rate: 2, count: 3}\n  b:\n    <<: *a\n    rate: 4\nname: x")
    assert found.many["b"] == Inner(rate=4, count=3)


FIELDS = "either, files, inner, least, many, maybe, name, row, values"
INNER = "count, flag, kind, rate"
FINDINGS = {
    "unknown key": (
        "{name: x, iner: {}}",
        f"unknown key 'iner'; did you mean 'inner'? valid: {FIELDS}",
    ),
    "unknown key in an optional model": (
        "{name: x, maybe: {zzz: 1}}",
        f"unknown key 'zzz' in maybe; valid: {INNER}",
    ),
    "unknown key in a mapping of models": (
        "{name: x, many: {a: {cuont: 1}}}",
        f"unknown key 'cuont' in many.a; did you mean 'count'? valid: {INNER}",
    ),
    "missing key": ("{inner: {}}", "the key name is missing"),
    "wrong type": ("{name: 5}", "name is 5: input should be a valid string"),
    "a key that is no text": (
        "{name: x, 5: 6}",
        "the key 5 is not text; put it in quotes",
    ),
    "a text for a number": (
        "{name: x, inner: {rate: '1e-3'}}",
        "inner.rate is '1e-3': input should be a valid number (a text, because of its quotes; "
        "write 1e-3)",
    ),
    "not finite": (
        "{name: x, inner: {rate: .inf}}",
        "inner.rate is inf: input should be a finite number",
    ),
    "out of range": (
        "{name: x, inner: {rate: 0}}",
        "inner.rate is 0: input should be greater than 0",
    ),
    "neither of two": (
        "{name: x, either: []}",
        "either is []: input should be a valid integer or input should be a valid dictionary",
    ),
    "the second of two": (
        "{name: x, either: {a: 1, b: 0}}",
        "either.b is 0: input should be greater than 0",
    ),
    "several findings": (
        "{name: 5, inner: {rate: 0, count: 0}}",
        "name is 5: input should be a valid string (and 2 more)",
    ),
    "a name that cannot be a file's, and what is below it": (
        "{name: x, files: {a b: {rate: 0}}}",
        "files.a b: 'a b' becomes a file's name: only letters, digits, '_', '.' and '-' may be in "
        "it (and 1 more)",
    ),
    "a long value": (
        f"{{name: x, inner: {['y' * 70, 'long']}}}",
        f"inner is ['{'y' * 70}', 'l...: input should be a valid dictionary",
    ),
}


@pytest.mark.parametrize(("text", "finding"), FINDINGS.values(), ids=FINDINGS)
def test_findings(read, text, finding):
    assert message(read, text) == finding


RENAMED_KEYS = {
    "optimiser": (Recipe, "it is now 'optimizer'"),
    "accumulation": (Recipe, "it is now 'grad_accum_steps'"),
    "accumulated": (Recipe, "it is now 'grad_accum_reduction'"),
    "clip_norm": (Recipe, "it is now 'max_grad_norm'"),
    "frozen": (ZeroShot, "it is now 'freeze'"),
    "evaluation_batch": (ZeroShot, "it is now 'eval_batch_size'"),
    "also": (Selection, "it is now 'other_rules'"),
    "shares": (Dataset, "it is now 'downloads_of'"),
    "research": (Greedy, "it is now 'search_each_step'"),
    "workers": (Recipe, "it was removed: a rule's threads set it, see profiles/README.md"),
}


@pytest.mark.parametrize(("key", "found"), RENAMED_KEYS.items(), ids=RENAMED_KEYS)
def test_a_key_of_an_earlier_version_comes_with_its_name(key, found):
    model, message = found
    with pytest.raises(UserError) as caught:
        validate("f.yaml", {"a": {key: 1}}, dict[str, model])
    assert (
        str(caught.value).partition(" (and ")[0] == f"f.yaml: unknown key {key!r} in a; {message}"
    )


def test_recipes_have_the_paper_s_defaults():
    recipe = Recipe(epochs=1)
    assert recipe == Recipe(
        epochs=1,
        batch_size=128,
        grad_accum_steps=1,
        learning_rate=1e-5,
        weight_decay=0.1,
        warmup_steps=500,
        max_grad_norm=1.0,
        label_smoothing=0.0,
        fixed_order=False,
        augmentation=Augmentation(),
    )


@pytest.mark.parametrize(
    "name",
    ["$(reboot)", "`x`", "x;y", "x|y", "../x", "x/../y", "/x", "..", "-rf", "*", "~", "x\\ny"],
)
def test_names_that_would_mean_something_to_a_shell_or_in_a_path_are_refused(read, name):
    assert "becomes a file's name: " in message(read, f'{{name: x, files: {{"{name}": {{}}}}}}')
