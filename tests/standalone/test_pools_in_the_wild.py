"""How a pool may differ from its base, and what is refused in one line."""

import pytest
import torch
from model_folders import assert_same_bits, draw, read, save, tuned

import negmerge
from negmerge.errors import UserError
from negmerge.merging import merge
from negmerge.vectors import apply, task_vector

EMBEDDING = "embed_tokens.weight"


def unlearn(folder, states, **options):
    """Save a base and a pool, and unlearn; give the new state and the report."""
    places = [save(state, folder / f"m{number}") for number, state in enumerate(states)]
    report = negmerge.unlearn(
        places[0], places[1:], folder / "out", **{"coefficient": 0.9} | options
    )
    return read(folder / "out"), report


def refusal(folder, states, **options):
    """Return the line that refuses a pool, after the path of the first model of it."""
    with pytest.raises(UserError) as caught:
        unlearn(folder, states, **options)
    assert not (folder / "out").exists()
    assert not list(folder.glob(".*"))
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'm1' / 'model.safetensors'}: ")


def expected(states, coefficient=0.9):
    base, *pool = states
    return apply(base, merge("negmerge", [task_vector(base, s) for s in pool]), -coefficient)


def without(state, *names):
    return {name: tensor for name, tensor in state.items() if name not in names}


def pool(count=2):
    base = draw(0)
    return [base, *(tuned(base, seed) for seed in range(1, count + 1))]


def test_tables_and_buffers_may_be_missing_or_more(tmp_path):
    states = pool()
    given = [
        states[0],
        without(states[1], "rotary.inv_freq", "steps", "norm.running_var"),
        states[2] | {"embeddings.position_ids": torch.arange(4), "x.running_mean": torch.ones(2)},
    ]
    assert_same_bits(unlearn(tmp_path, given)[0], expected(states))


def grown(state, rows):
    more = torch.randn(rows, state[EMBEDDING].shape[1])
    return state | {EMBEDDING: torch.cat([state[EMBEDDING], more])}


def test_a_vocabulary_of_another_size_is_cut_or_filled_where_that_is_asked_for(tmp_path):
    base, first, second = pool()
    given = [base, grown(first, 4), second]
    result, report = unlearn(tmp_path / "larger", given, vocabulary="base")
    assert_same_bits(result, expected([base, first, second]))
    assert f"its rows from 12 on are left out: {EMBEDDING}" in report["notes"][0]
    given = [base, first | {EMBEDDING: first[EMBEDDING][:9].clone()}, second]
    result, report = unlearn(tmp_path / "smaller", given, vocabulary="base", block_numbers=10)
    whole = first | {EMBEDDING: torch.cat([first[EMBEDDING][:9], base[EMBEDDING][9:]])}
    assert_same_bits(result, expected([base, whole, second]))
    assert "rows from 9 on, which it lacks, count as unchanged" in report["notes"][0]


def with_head(state, labels):
    weight = torch.randn(labels, 5, generator=torch.Generator().manual_seed(labels))
    return state | {"classifier.weight": weight, "classifier.bias": torch.zeros(labels)}


@pytest.mark.parametrize("labels", [2, None])
def test_a_head_is_refused_and_left_out_on_request(tmp_path, labels):
    states = pool()
    base = with_head(states[0], labels) if labels else states[0]
    given = [base, *(with_head(state, 3) for state in states[1:])]
    message = refusal(tmp_path / "first", given)
    assert ("has shape [3], expected [2]" if labels else "is not expected (2 in all)") in message
    assert message.startswith("tensor 'classifier.bias' ")
    assert r"--exclude '^classifier\.'" in message
    result, report = unlearn(tmp_path / "second", given, exclude=[r"^classifier\."])
    assert_same_bits(result, {n: t for n, t in base.items() if "class" in n} | expected(states))
    heads = ["classifier.bias", "classifier.weight"]
    assert report["matched"] == {r"--exclude ^classifier\.": heads}


def test_only_what_is_included_takes_part(tmp_path):
    states = pool()
    result, report = unlearn(tmp_path, states, include=["mlp", "norm"], exclude=["bias$"])
    changed = {name: expected(states)[name] for name in ("layers.0.mlp.weight", "norm.weight")}
    assert_same_bits(result, states[0] | changed)
    assert report["numbers"] == 40
    assert list(report["matched"]) == ["--include mlp", "--include norm", "--exclude bias$"]


def test_what_does_not_fit_is_refused_with_a_way_out(tmp_path):
    base, state, other = pool()
    name = "layers.0.mlp.weight"
    turned = state | {name: state[name].T.contiguous()}
    cases = {
        "turned": ([base, turned], {}, [name, "[5, 7], expected [7, 5]: it is stored transposed"]),
        "grown": ([base, grown(state, 4), other], {}, ["[16, 5], expected [12, 5]; --vocabulary"]),
        "missing": ([base, without(state, name)], {}, [name, "is missing (1 in all); --exclude"]),
        "near": ([base, state], {"exclude": ["mpl.weight"]}, ["'mpl.weight'", "norm.weight"]),
        "no-re": ([base, state], {"include": ["("]}, ["--include '(' is not a regular expression"]),
        "base": ([base, state, base], {}, [": is the base itself, which is no member of its pool"]),
    }
    for case, (states, options, parts) in cases.items():
        message = refusal(tmp_path / case, states, **options)
        assert all(part in message for part in parts), case


@pytest.mark.parametrize("base_has_it", [False, True])
def test_the_prefix_of_clip_models_may_be_there_or_not(tmp_path, base_has_it):
    def prefixed(state):
        return {f"vision_model.{name}": tensor for name, tensor in state.items()}

    states = pool()
    given = [prefixed(state) if base_has_it else state for state in states]
    given[1] = states[1] if base_has_it else prefixed(states[1])
    result, report = unlearn(tmp_path, given)
    wanted = expected(states)
    assert_same_bits(result, prefixed(wanted) if base_has_it else wanted)
    assert "'vision_model.'" in report["notes"][0]


def test_a_pool_that_says_little_is_told(tmp_path):
    states = pool(1)
    result, report = unlearn(tmp_path / "alone", states)
    assert_same_bits(result, expected(states))
    assert report["notes"][0].startswith("a pool of one: ")
    base = {"w": torch.zeros(3)}
    result, report = unlearn(tmp_path / "zero", [base, {"w": torch.ones(3)}, {"w": -torch.ones(3)}])
    assert_same_bits(result, base)
    assert report["notes"][0].endswith("the merged vector is zero, so nothing changes")
    base, first, second = pool()
    _, report = unlearn(tmp_path / "twice", [base, first, second, first])
    assert [note[-16:] for note in report["notes"]] == ["they count twice"]
