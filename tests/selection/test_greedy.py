import numpy as np
import pytest

from negmerge.errors import UserError
from negmerge.selection import greedy
from negmerge.selection.choice import Choice
from negmerge.selection.greedy import mean_of_best


def choice(forget, coefficient=1.0, control=80.0):
    return Choice("m", coefficient, forget, control, 80.0, False)


OWN = {"c": choice(30.0), "b": choice(20.0, 0.4), "a": choice(30.0), "d": choice(10.0, 0.7)}
# The choice of each mean that can come up.
MEANS = {"db": 10.0, "da": 9.0, "dac": 9.0, "dba": 8.0, "dbac": 8.0, "dbc": 11.0}


def trials(own=OWN, means=MEANS, **options):
    """Return the names tried, with `*` at the accepted ones, and the calls to `evaluate`."""
    calls = []

    def evaluate(names, coefficient):
        calls.append(("".join(names), coefficient))
        return choice(means["".join(names)])

    steps = greedy(own, own, evaluate, **options)
    return [step.name + "*" * step.accepted for step in steps], calls


def test_the_best_comes_first_and_only_a_lower_forget_accuracy_is_accepted():
    # Equal own accuracies, a and c, go by name; `db` and `dac` only equal what was there.
    tried, calls = trials()
    assert tried == ["d*", "b", "a*", "c"]
    assert calls == [("db", None), ("da", None), ("dac", None)]


def test_an_equal_accuracy_may_be_enough():
    assert trials(strict=False)[0] == ["d*", "b*", "a*", "c*"]


def test_all_trials_may_use_the_coefficient_of_the_first():
    assert {coefficient for _, coefficient in trials(search_each_step=False)[1]} == {0.7}


def test_order_and_criterion_may_be_others():
    tried, _ = trials(
        order=lambda one: -one.forget_accuracy, means={"ac": 1.0, "acb": 2.0, "acd": 0.5}
    )
    assert tried == ["a*", "c*", "b", "d*"]
    raised = dict.fromkeys(["db", "dba", "dbac"], 50.0) | {"db": 20.0, "dba": 30.0}
    tried, _ = trials(means=raised, criterion=lambda one: -one.forget_accuracy)
    assert tried == ["d*", "b*", "a*", "c*"]


def test_one_vector_is_its_own_merge():
    assert trials(own={"d": OWN["d"]}) == (["d*"], [])
    with pytest.raises(UserError, match=r"^no vectors to merge"):
        greedy([], {}, None)


def test_it_takes_the_steps_of_the_greedy_soup(golden):
    file = golden("soups_f32_n6")
    models = [file.state(f"model_{number}") for number in range(6)]
    # There a higher accuracy is better, and of equal models the later one comes first.
    index = {str(9 - number): number for number in range(6)}
    own = {name: choice(-100 * file["individual_acc"][number]) for name, number in index.items()}

    def evaluate(names, _):
        chosen = [models[index[name]] for name in names]
        weight, bias = (sum(one[key].double() for one in chosen) / len(chosen) for key in "wb")
        result = (file["X"] @ weight.numpy() + bias.numpy()).argmax(axis=1)
        return choice(-100 * np.mean(result == file["y"]))

    steps = greedy(own, own, evaluate)
    assert [index[step.name] for step in steps] == list(file["greedy_order"])
    accepted = [one for one in steps if one.accepted]
    assert [index[one.name] for one in accepted] == list(file["greedy_ingredients"])
    accuracies = [-one.choice.forget_accuracy / 100 for one in steps[1:]]
    np.testing.assert_allclose(accuracies, file["greedy_trial_acc"], rtol=1e-12)
    assert -accepted[-1].choice.forget_accuracy / 100 == pytest.approx(file["greedy_best_acc"])


def test_the_best_vectors_are_summed_by_name_and_of_equal_means_that_of_fewer_is_taken():
    own = {str(n): choice(50.0 - n, control=n) for n in range(8)}
    forget = {1: 40.0, 2: 40.0, 3: 39.0, 5: 39.0, 8: 45.0}
    tried = mean_of_best(own | {"7": choice(40.0)}, lambda names: choice(forget[len(names)]))
    assert [*tried] == [
        tuple(sorted("765432"[:3])), tuple("34567"), ("7",), ("6", "7"), tuple("01234567"),
    ]  # fmt: skip
    with pytest.raises(UserError, match=r"^no vectors to merge"):
        mean_of_best({}, None)
