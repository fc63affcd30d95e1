import pytest
from unlearning_examples import example_recipe

from negmerge.errors import UserError
from negmerge.settings.recipe import Recipe, Settings
from negmerge.unlearning import METHODS, recipe_for
from negmerge.unlearning.core import TrainingOptions

NAMES = {
    "boundary-expand": "forget",
    "boundary-shrink": "forget",
    "ceu": "forget",
    "finetune": "retain",
    "grad-diff": "all",
    "gradient-ascent": "forget",
    "idk-dpo": "all",
    "idk-nll": "all",
    "influence": "all",
    "kl": "all",
    "l1-sparse": "retain",
    "neggrad-plus": "all",
    "npo": "all",
    "perta": "all",
    "random-label": "all",
    "rmu": "all",
    "salun": "all",
    "satimp": "all",
    "scrub": "all",
    "simnpo": "all",
    "ssd": "all",
    "undial": "forget",
    "wga": "all",
}
# Two wrong values for each option, with the message's end.
POSITIVE = [
    (0, "0: input should be greater than 0"),
    (
        "1e-3",
        "'1e-3': input should be a valid number (a text, because of its quotes; write 1e-3)",
    ),
]
COUNT = [
    (0, "0: input should be greater than 0"),
    (1.5, "1.5: input should be a valid integer"),
]
WHOLE = [
    (-1, "-1: input should be greater than or equal to 0"),
    (True, "True: input should be a valid integer"),
]
NOT_NEGATIVE = [
    (-0.1, "-0.1: input should be greater than or equal to 0"),
    (float("inf"), "inf: input should be a finite number"),
]
ONE = (1.1, "1.1: input should be less than or equal to 1")
FLAG = [
    (1, "1: input should be a valid boolean"),
    ("yes", "'yes': input should be a valid boolean"),
]
TRAINING = {"epochs": COUNT, "learning_rate": POSITIVE}
BALANCED = TRAINING | {"gamma": POSITIVE, "alpha": NOT_NEGATIVE}
WRONG = {
    "boundary-expand": TRAINING,
    "boundary-shrink": TRAINING | {"bound": [POSITIVE[0], ONE]},
    "ceu": TRAINING,
    "finetune": TRAINING,
    "grad-diff": BALANCED,
    "gradient-ascent": TRAINING,
    "idk-dpo": BALANCED | {"beta": POSITIVE},
    "idk-nll": BALANCED,
    "influence": {"alpha": POSITIVE, "samples": COUNT, "augmented": FLAG},
    "kl": BALANCED,
    "l1-sparse": TRAINING | {"alpha": NOT_NEGATIVE, "plain_epochs": WHOLE},
    "neggrad-plus": TRAINING | {"alpha": [NOT_NEGATIVE[0], ONE]},
    "npo": BALANCED | {"beta": POSITIVE},
    "perta": TRAINING
    | {
        "coefficient": NOT_NEGATIVE,
        "importance": [("Fisher", "'Fisher': input should be 'fisher' or 'gradient'")],
        "samples": COUNT,
        "epsilon": POSITIVE,
    },
    "random-label": TRAINING | {"retain": FLAG},
    "rmu": BALANCED | {"layer": WHOLE, "steering": POSITIVE},
    "salun": TRAINING | {"mask_share": [POSITIVE[0], ONE], "retain": FLAG, "augmented": FLAG},
    "satimp": BALANCED | {"beta1": NOT_NEGATIVE, "beta2": NOT_NEGATIVE},
    "scrub": TRAINING
    | {"max_epochs": WHOLE, "gamma": NOT_NEGATIVE, "alpha": NOT_NEGATIVE, "temperature": POSITIVE},
    "simnpo": BALANCED | {"beta": POSITIVE, "delta": NOT_NEGATIVE},
    "ssd": {"alpha": POSITIVE, "dampening": POSITIVE},
    "undial": BALANCED | {"beta": POSITIVE},
    "wga": BALANCED | {"beta": NOT_NEGATIVE},
}


def test_every_method_is_listed_here():
    assert list(METHODS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_method_says_what_it_reads_and_where_its_defaults_are_from(name):
    method = METHODS[name]
    assert method.check(name, {}).data_used == NAMES[name]
    assert method.title
    assert "(" in method.reference
    assert issubclass(method.options, Settings)
    for option, field in method.options.model_fields.items():
        assert not field.is_required(), option
        assert field.description, option
        sources = ("README", "issue", "code", "paper", "scripts", "notebook", "choice")
        assert any(source in field.description for source in sources), option


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


def test_every_option_has_wrong_values_here():
    found = {name: set(METHODS[name].options.model_fields) for name in METHODS}
    assert found == {name: set(options) for name, options in WRONG.items()}


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        (name, option, *case)
        for name, options in WRONG.items()
        for option, cases in options.items()
        for case in cases
    ],
)
def test_wrong_values_are_refused_by_name(name, option, value, message):
    with pytest.raises(UserError) as caught:
        METHODS[name].check(name, {option: value})
    assert str(caught.value) == f"{name}: {option} is {message}"


@pytest.mark.parametrize("name", NAMES)
def test_a_method_that_trains_replaces_epochs_and_rate_of_the_recipe(name):
    method, recipe = METHODS[name], example_recipe(epochs=7, learning_rate=0.7, momentum=0.5)
    trains = issubclass(method.options, TrainingOptions)
    options = method.check(name, {"epochs": 3, "learning_rate": 0.25} if trains else {})
    found = recipe_for(recipe, options)
    assert isinstance(found, Recipe)
    assert (found.epochs, found.learning_rate) == ((3, 0.25) if trains else (7, 0.7))
    assert found.momentum == 0.5
