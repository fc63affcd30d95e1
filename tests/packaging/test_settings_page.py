"""docs/settings.md lists every key that a study or a row may have, the advanced ones apart.

`python tests/packaging/test_settings_page.py` writes its tables anew. The studies that
config/README.md shows can be read.
"""

import math
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from negmerge.scenarios.classifier.settings import Pooled, Train, Unlearn
from negmerge.scenarios.language.recipes import TextFinetune, TextRecipe, TextUnlearn, TunedRecipe
from negmerge.scenarios.zero_shot.settings import EncoderUnlearn
from negmerge.settings.catalogue import Prompts
from negmerge.settings.datasets import Dataset
from negmerge.settings.experiment import Experiment
from negmerge.settings.load import Extension
from negmerge.settings.methods import Greedy
from negmerge.settings.models import Model
from negmerge.settings.recipe import Finetune, Recipe
from negmerge.settings.selection import RetainSelection, Selection
from negmerge.settings.study import Study, load_study

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "settings.md"
# The page shows one table for all; its text says in which keys they differ.
RECIPES = Finetune, Pooled, Unlearn, Train, TextRecipe, TextUnlearn, EncoderUnlearn
SHOWN_AS = dict.fromkeys(RECIPES, Recipe) | {RetainSelection: Selection, TextFinetune: TunedRecipe}


def members(annotation) -> list[type[BaseModel]]:
    """List the models in a type, such as the values of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in members(inner)]


def is_advanced(field) -> bool:
    return bool(field.json_schema_extra)


def reached(*models: type[BaseModel], basic: bool = False) -> dict[str, type[BaseModel]]:
    """Collect models and all that their keys, or basic keys alone, lead to, by name."""
    found = {}
    for model in models:
        model = SHOWN_AS.get(model, model)
        fields = [f for f in model.model_fields.values() if not (basic and is_advanced(f))]
        inner = [one for field in fields for one in members(field.annotation)]
        found |= {model.__name__: model} | reached(*inner, basic=basic)
    return found


ROOTS = Study, Extension, Experiment, Dataset, Model, Prompts
MODELS, BASIC = reached(*ROOTS, Greedy), reached(*ROOTS, basic=True)
# Where a class keeps what it declares itself.
OWN = "__annotations__"
TABLE = re.compile(r"(<!-- ((?:advanced )?keys) of (\w+) -->\n)((?:\|.*\n)*)")
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "mapping"}


def values(annotation) -> str:
    """Describe what a key may hold."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        words = ["null" if one is NoneType else values(one) for one in inner]
        return " or ".join(dict.fromkeys(words))
    if origin is list:
        return f"list: {values(inner[0])}"
    if origin is dict:
        return f"name: {values(inner[1])}"
    if issubclass(annotation, BaseModel):
        return "keys as below"
    return WORDS[annotation]


def default(field) -> str:
    """Spell the default of a key in YAML."""
    value = field.default
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, list):
        value = [round(one, 3) if isinstance(one, float) else one for one in value]
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf).splitlines()[0]
    return "empty" if value in ({}, []) else f"`{text}`"


def own_keys(name: str) -> dict[str, dict]:
    """A model's keys, basic and advanced; those that it inherits stand in another table."""
    model = MODELS[name]
    keys = {"keys": {}, "advanced keys": {}}
    for key, field in model.model_fields.items():
        if key in vars(model)[OWN]:
            is_basic = name in BASIC and not is_advanced(field)
            keys["keys" if is_basic else "advanced keys"][field.alias or key] = field
    return keys


def table(kind: str, name: str) -> str:
    """Write a table of a model's keys."""
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for key, field in own_keys(name)[kind].items():
        # Constraints live in the field, so the annotation is the plain type.
        cells = [f"`{key}`", values(field.annotation), default(field), field.description]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def renew(text: str) -> str:
    """Write all tables of the page anew."""
    return TABLE.sub(lambda found: found[1] + table(found[2], found[3]), text)


def test_the_page_lists_all_keys_as_the_code_reads_them():
    text = PAGE.read_text()
    tables = [(kind, name) for _, kind, name, _ in TABLE.findall(text)]
    expected = {(kind, name) for name in MODELS for kind, keys in own_keys(name).items() if keys}
    assert len(tables) == len(set(tables))
    assert set(tables) == expected
    assert text == renew(text), f"run: python {Path(__file__).relative_to(ROOT)}"
    # The advanced keys are the second half of the page.
    kinds = [kind for kind, _ in tables]
    assert kinds == sorted(kinds, reverse=True)


def test_the_studies_of_the_readme_can_be_read(config):
    readme = (config / "README.md").read_text()
    small, extended = re.findall(r"^```yaml\n(.*?)^```$", readme, re.M | re.S)
    (config / "studies" / "small.yaml").write_text(small)
    (config / "studies" / "small-mean.yaml").write_text(extended)
    points = {
        name: list(load_study(config, name).experiments["garments"].pool.changes)
        for name in ("small", "small-mean")
    }
    assert points == {
        "small": ["e3-ls0", "e3-ls0.1", "e6-ls0", "e6-ls0.1"],
        "small-mean": ["e4-ls0", "e4-ls0.1"],
    }


if __name__ == "__main__":
    PAGE.write_text(renew(PAGE.read_text()))
