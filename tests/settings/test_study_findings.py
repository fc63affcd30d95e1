import pytest

EXPERIMENT = "experiments/mini-clip"
AT = "experiments.mini-clip"
METHODS = "valid: conflict, greedy, magmax, negmerge, pretrained, task-arithmetic, ties, uniform"


UNKNOWN = {
    "a key": (
        "tabels",
        {},
        "unknown key 'tabels'; did you mean 'tables'? valid: comparable, compute, device, "
        "experiments, extends, figures, seed, stand_ins, tables, take, title",
    ),
    "a key of an experiment": (
        f"{EXPERIMENT}/pol",
        {},
        f"unknown key 'pol' in {AT}; did you mean 'pool'? valid: ",
    ),
    "a method": (
        f"{EXPERIMENT}/methods/negmerg",
        {},
        f"{AT}: zero-shot: unknown method 'negmerg'; did you mean 'negmerge'? valid: ",
    ),
    "a point": (
        f"{EXPERIMENT}/pool/points",
        {"m5-n2": {"learning_rate": 0.1}},
        f"{AT}.pool: points: unknown point 'm5-n2'; did you mean 'm5-n3'? valid: m1-n1, m1-n3, "
        "m10-n1, m10-n3, m5-n1, m5-n3",
    ),
    "an axis in braces": (
        f"{EXPERIMENT}/pool/recipe",
        {"augmentation": {"randaugment": "rand-m{m}-n{k}"}},
        f"{AT}.pool: 'rand-m{{m}}-n{{k}}' has braces around something other than m, n",
    ),
    "an axis": (
        f"{EXPERIMENT}/pool/grid/epoch",
        [1],
        f"{AT}.pool: grid: axis 'epoch' is not a key of finetune, and no text of recipe has "
        "{epoch}; unknown key 'epoch'; did you mean 'epochs'? valid: ",
    ),
    "a table's method": (
        "tables/table1/rows/negmerg",
        "x",
        "tables.table1.columns.mini CLIP, mean of both tasks: unknown method 'negmerg'; did you "
        f"mean 'negmerge'? {METHODS}",
    ),
    "a figure's experiment": (
        "figures/figure1a/experiments",
        ["mini"],
        "figures.figure1a: unknown experiment 'mini'; did you mean 'mini-clip'? valid: "
        "mini-clip, mini-resnet",
    ),
}

WRONG = {
    "a missing key": (f"{EXPERIMENT}/control", None, f"the key {AT}.control is missing"),
    "a text for a number": (
        f"{EXPERIMENT}/finetune/learning_rate",
        "0.001",
        f"{AT}.finetune.learning_rate is '0.001': input should be a valid number (a text, because "
        "of its quotes; write 0.001)",
    ),
    "RandAugment": (
        f"{EXPERIMENT}/finetune/augmentation/randaugment",
        "augmix-m3",
        f"{AT}.finetune.augmentation.randaugment is 'augmix-m3': string should match pattern "
        "'^rand(-(m|n|p|mstd|mmax|inc|w)[0-9.]+)+$'",
    ),
    "no epochs for a task": (
        f"{EXPERIMENT}/finetune/epochs",
        {"digits": 3},
        f"{AT}: finetune.epochs: no number for task 'letters'",
    ),
    "an axis as a text": (
        f"{EXPERIMENT}/pool",
        {"grid": {"e": [1, 2]}, "recipe": {"epochs": "{e}"}},
        f"{AT}.pool: recipe: '{{e}}' is nothing but an axis; expected the key itself as an axis of "
        "grid, and 'e' under short",
    ),
    "two points of one name": (
        f"{EXPERIMENT}/pool",
        {"grid": {"weight_decay": [1, 1.0]}},
        f"{AT}.pool: grid: two points have the same name; expected other values",
    ),
    "no points": (f"{EXPERIMENT}/pool", {}, f"{AT}.pool: no points; give a grid, points or files"),
    "a point called like a method": (
        f"{EXPERIMENT}/pool",
        {"points": {"negmerge": {}}},
        f"{AT}.pool: a point must not have a method's name: 'negmerge'",
    ),
    "a point that cannot be a file": (
        f"{EXPERIMENT}/pool",
        {"points": {"a/b": {}}},
        f"{AT}.pool.points.a/b: 'a/b' becomes a file's name: only letters, digits, '_', '.' and "
        "'-' may be in it",
    ),
    "a task twice": (
        f"{EXPERIMENT}/tasks",
        ["digits", "digits"],
        f"{AT}: control and tasks: each data set may be named only once",
    ),
    "no base": (
        f"{EXPERIMENT}/pretrain",
        None,
        f"{AT}: `pretrain` goes with a model of `weights: pretrain`, and only with it; a "
        "`base` that is given needs none",
    ),
    "coefficients": (
        f"{EXPERIMENT}/coefficients",
        {"step": 0.6, "stop": 1},
        f"{AT}.coefficients: stop is 1.0, which is not a multiple of step, 0.6",
    ),
    "sparsity of a base": (
        "tables/table4/rows/pretrained",
        "x",
        "tables.table4: rows: 'pretrained' is of kind base, and a table of kind sparsity shows "
        "merge, greedy",
    ),
}


@pytest.mark.parametrize(("place", "value", "finding"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_names_come_with_the_nearest(spoil, place, value, finding):
    message = spoil(place, value)
    assert message.startswith(finding) if finding.endswith("valid: ") else message == finding


@pytest.mark.parametrize(("place", "value", "finding"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_where_it_is(spoil, place, value, finding):
    assert spoil(place, value) == finding
