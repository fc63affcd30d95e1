import pytest
from unlearning_examples import example_recipe

from negmerge.errors import UserError
from negmerge.settings.recipe import Recipe
from negmerge.unlearning import METHODS, recipe_for
from negmerge.unlearning.core import TrainingOptions


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_where_its_defaults_are_from_and_refuses_other_types_by_name(name):
    method = METHODS[name]
    assert method.title
    assert "(" in method.reference
    for option, field in method.options.model_fields.items():
        assert not field.is_required(), option
        sources = ("README", "issue", "code", "paper", "scripts", "notebook", "choice")
        assert any(source in field.description for source in sources), option
        with pytest.raises(UserError) as caught:
            method.check(name, {option: "odd"})
        assert str(caught.value).startswith(f"{name}: {option} is 'odd': input should be ")


@pytest.mark.parametrize("name", ["random-label", "salun"])
def test_relabelling_without_a_pass_over_the_retain_set_reads_the_forget_set_only(name):
    method = METHODS[name]
    assert method.check(name, {"retain": False}).data_used == "forget"


def test_a_method_that_weighs_the_retain_set_with_0_does_not_read_it():
    for name in ("npo", "undial"):
        options = METHODS[name].check(name, {"alpha": 0})
        assert (options.data_used, options.batches_per_step) == ("forget", 1)
    options = METHODS["undial"].check("undial", {"alpha": 5})
    assert (options.data_used, options.batches_per_step, options.passes) == ("all", 2, ("forget",))


def test_an_epoch_of_other_methods_passes_over_all_sets_that_they_read():
    passes = {name: METHODS[name].check(name, {}).passes for name in METHODS}
    assert passes["salun"] == ("forget", "retain")
    assert passes["finetune"] == passes["neggrad-plus"] == ("retain",)
    assert passes["ceu"] == ("forget",)


@pytest.mark.parametrize("name", ["salun", "ssd"])
def test_a_method_that_trains_replaces_epochs_and_rate_of_the_recipe(name):
    method, recipe = METHODS[name], example_recipe(epochs=7, learning_rate=0.7, momentum=0.5)
    trains = issubclass(method.options, TrainingOptions)
    options = method.check(name, {"epochs": 3, "learning_rate": 0.25} if trains else {})
    found = recipe_for(recipe, options)
    assert isinstance(found, Recipe)
    assert (found.epochs, found.learning_rate) == ((3, 0.25) if trains else (7, 0.7))
    assert found.momentum == 0.5
