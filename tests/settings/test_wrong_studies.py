"""One line says what is wrong in a study: the key, what was found, and what is expected."""

import pytest

CLIP, RESNET = "experiments/mini-clip", "experiments/mini-resnet"
EXAMPLE = {
    "scenario": "classifier", "model": "mini-resnet", "dataset": "fashion-small",
    "pool": {"points": {"a": {}}}, "methods": {"negmerge": {}},
}  # fmt: skip
LATER = {
    "scenario": "zero-shot", "model": "mini-clip", "control": "fashion", "tasks": ["letters"],
    "finetune": {"epochs": 1}, "pool": {"points": {"a": {}}}, "methods": {"pretrained": {}},
    "after": {"experiment": "mini-clip", "task": "digits", "method": "negmerge"},
}  # fmt: skip
# The key in the example study, its wrong value, and what the line says, beside the key's place.
WRONG = [
    ("tabels", {}, "'tabels'; did you mean 'tables'?", "valid: comparable, compute"),
    (f"{CLIP}/pol", {}, "'pol' in experiments.mini-clip; did you mean 'pool'?"),
    (f"{CLIP}/control", None, "experiments.mini-clip.control is missing"),
    (f"{CLIP}/finetune/augmentation/randaugment", "mix", "randaugment is 'mix'", "pattern '^rand"),
    (f"{CLIP}/finetune/epochs", {"digits": 3}, "finetune.epochs", "'letters'"),
    (f"{CLIP}/finetune", None, "finetune is missing", "`files`"),
    (f"{CLIP}/tasks", ["digits", "digits"], "control and tasks", "only once"),
    (f"{CLIP}/pretrain", None, "`pretrain`", "`weights: pretrain`"),
    (f"{CLIP}/coefficients", {"step": 0.6, "stop": 1}, "stop is 1.0", "step, 0.6"),
    (f"{CLIP}/coefficients", {"step": 1, "from": 0.1}, "found from, step; expected"),
    (f"{CLIP}/coefficients", {"from": 2, "to": 1, "per_decade": 9}, "from is 2.0", "than to, 1.0"),
    (f"{CLIP}/selection/other_choices", {"gap": {"criterion": "control"}}, "'gap' is a criterion"),
    # Pools.
    (f"{CLIP}/pool", {}, "mini-clip.pool: no points", "grid, points or files"),
    (f"{CLIP}/pool", {"points": {"ties": {}}}, "mini-clip.pool", "'ties'", "method"),
    (f"{CLIP}/pool", {"grid": {"weight_decay": [1, 1.0]}}, "pool: grid", "same name"),
    (f"{CLIP}/pool", {"grid": {"e": [1]}, "recipe": {"epochs": "{e}"}}, "'{e}'", "'e' under short"),
    (f"{CLIP}/pool/points", {"m5-n2": {}}, "points", "'m5-n2'; did you mean 'm5-n3'?"),
    (f"{CLIP}/pool/recipe", {"augmentation": {"randaugment": "{k}m"}}, "'{k}m'", "than m, n"),
    (f"{CLIP}/pool/grid/epoch", [1], "grid: axis 'epoch'", "{epoch}", "did you mean 'epochs'?"),
    (f"{CLIP}/pool/short", {"k": "x"}, "short", "'k'", "valid: m, n"),
    (f"{RESNET}/pool", {"files": {"e8": "x"}, "grid": {"epochs": [1]}}, "both `files` and `grid`"),
    (f"{RESNET}/pool", {"files": "x", "points": {"e8": {}, "b": {}}}, "'b' and 'e8' are both x"),
    (f"{RESNET}/pool", {"files": "{point}", "points": {"a": {"epochs": 1}}}, "changes in `points`"),
    (f"{RESNET}/pool", {"files": {"e8-": "{point}.pt"}}, "'{point}.pt'", "other than task"),
    (f"{RESNET}/pool", {"files": {"e8-": "x.pt"}}, "pool.files", "no {task}", "trial1, trial2"),
    (f"{RESNET}/pool/manual", "Ask.", "`manual` goes with `files`"),
    # Methods.
    (f"{CLIP}/methods/negmerg", {}, "zero-shot", "'negmerg'; did you mean 'negmerge'?"),
    (f"{CLIP}/methods/salun", {}, "methods.salun", "for classifier, not for zero-shot"),
    (f"{CLIP}/methods/negmerge-4", {"points": ["m1-n2"]}, "negmerge-4.points", "mean 'm1-n3'?"),
    (f"{CLIP}/methods/negmerge-4", {"points": {"random": 9}}, "random is 9", "has 6 points"),
    (f"{CLIP}/methods/ties", {"density": 1, "grid": {"density": [1]}}, "'density' has a value of"),
    (f"{CLIP}/methods/masked-single", {"single": 2}, "methods.masked-single", "`single`"),
    (f"{CLIP}/methods/masked-single", {"points": ["m10-*"]}, "masked-single", "m10-n1, m10-n3"),
    # Seeds.
    (f"{CLIP}/seeds", 0, "mini-clip.seeds is 0", "greater than 0"),
    ("experiments/mini-clip.seed2", EXAMPLE, "mini-clip.seed2", "another seed"),
    # Requests that come later.
    *(
        ("experiments/later", LATER | {key: value}, place, *parts)
        for key, value, place, *parts in (
            ("after", LATER["after"] | {"experiment": "none"}, "after", "'none'", "mini-clip"),
            ("after", LATER["after"] | {"experiment": "later"}, "after", "comes after this one"),
            ("after", LATER["after"] | {"task": "letter"}, "after", "did you mean 'letters'?"),
            ("after", LATER["after"] | {"method": "none"}, "after", "unknown method 'none'"),
            ("tasks", ["digits"], "after", "digits is forgotten before", "another task"),
            ("control", "digits", "after", "does not fit in control", "expected the same"),
            ("seeds", 2, "after", "does not fit in seeds", "as many seeds"),
            ("base", {"file": "x"}, "after", "there is a `base`, too", "no base"),
            ("pretrain", {"sources": {"digits": {"part": "train"}}, "recipe": {"epochs": 1}},
             "later", "made by the experiment of `after`"),
        )
    ),
    (f"{CLIP}/methods/no-conflict", {"along": "negmerge"}, "no-conflict", "the key `after`, too"),
    # Classifiers.
    (f"{RESNET}/scenario", "classifer", "'classifer'; did you mean 'classifier'?"),
    (f"{RESNET}/scenario", None, "mini-resnet.scenario is missing"),
    (f"{RESNET}/dataset", "imagenet-val", "'imagenet-val'", "'train'; valid: test, val"),
    (f"{RESNET}/selection", {"criterion": "control"}, "selection", "'control'", "gap, retain"),
    (f"{RESNET}/selection/other_rules", ["gap"], "it is now 'other_criteria'"),
    (f"{RESNET}/forget/share", 0.0002, "forget: 0 of 2000 images", "at least 1 to forget"),
    (f"{RESNET}/forget", {"file": "list.txt"}, "forget: `file`", "`rule: given`"),
    (f"{RESNET}/forget", {"rule": "class"}, "forget: `classes`", "`rule: class`"),
    (f"{RESNET}/forget", {"rule": "class", "classes": ["bags"]}, "'bags'; did you mean 'bag'?"),
    # Runs that would fail after hours, or silently do something else.
    (f"{RESNET}/train/schedule", None, "train (original)", "[91, 136]", "below 12"),
    (f"{CLIP}/pretrain/recipe/schedule", "steps", "pretrain.recipe", "no milestones", "below 8"),
    (f"{RESNET}/finetune", {"epochs": 20, "schedule": "steps", "milestones": [10]},
     "finetune (trial1, point e8-ls0)", "[10]", "below 8"),
    (f"{CLIP}/finetune/warmup_steps", 250, "finetune (letters, point m1-n1)", "warmup_steps is 250",
     "2,340 images", "at most 222"),
    (f"{RESNET}/unlearn", {"warmup_steps": 10}, "methods.gradient-ascent, learning_rate 0.01",
     "warmup_steps is 10", "200 images", "at most 3"),
    (f"{RESNET}/finetune/grad_accum_steps", 50, "grad_accum_steps is 50", "not one step"),
    (f"{CLIP}/durability", {"relearn": {"warmup_steps": 1000}}, "durability.relearn", "is 1000"),
    # How models are computed.
    ("compute", "quick", "compute is 'quick'", "'exact' or 'fast'"),
    ("compute", {"preset": ["fast"]}, "compute.preset is ['fast']", "'exact' or 'fast'"),
    # Tables and figures.
    ("tables/table1/rows/negmerg", "x", "tables.table1.columns", "did you mean 'negmerge'?"),
    ("tables/table4/rows/pretrained", "x", "tables.table4: rows", "'pretrained'", "merge, greedy"),
    ("tables/table2/rows", {"negmerge": "x"}, "tables.table2: rows", "needs retrain"),
    ("tables/table2/columns/0/experiments", ["mini-clip"], "'mini-clip'", "shows classifier"),
    ("tables/table2/columns/1/criterion", "gab", "table2.columns.gap", "did you mean 'gap'?"),
    ("tables/table2/columns/0/tasks", ["trial3"], "'trial3'; did you mean 'trial2'?"),
    ("figures/figure1a/experiments", ["mini"], "figures.figure1a", "did you mean 'mini-clip'?"),
    ("figures/figure1a/methods", {}, "figures.figure1a.methods", "at least one"),
    ("figures/own", {"kind": "signs", "title": "x", "experiments": ["mini-resnet"],
                     "methods": ["negmerge", "negmerge-8"]}, "figures.own", "'negmerge-8'", "same"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "parts"), [(p, v, parts) for p, v, *parts in WRONG])
def test_the_line_names_the_key_what_was_found_and_what_is_expected(spoil, place, value, parts):
    finding = spoil(place, value)
    for part in parts:
        assert part in finding
