"""What merges must do for any input."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merge_examples import EXACT, assert_equal, bits, pools, random_pool, scaled
from negmerge.merging import METHODS, merge


def options(**strategies):
    return st.fixed_dictionaries(strategies)


NONE = options()
SEED = st.integers(0, 2**31 - 1)
NEGMERGE = options(operation=st.sampled_from(["mean", "sum", "largest", "smallest", "median"]))
REDUCE = st.sampled_from(["mean", "sum", "max"])
RELAXED = options(agreement=st.floats(0.5, 1))

# By method, options with which it has the property.
OWN = {
    "uniform": NONE,
    "negmerge": NEGMERGE,
    "relaxed": RELAXED,
    "emr": NONE,
    "magmax": NONE,
    "random-mask": options(seed=SEED),
    "ties": options(density=st.just(1), reduce=REDUCE),
    "dare": options(drop=st.just(0), by=st.sampled_from(["random", "magnitude"])),
    "breadcrumbs": options(density=st.just(1.0), remove=st.just(0.0)),
    "consensus": options(active=st.just(1)),
}
WITHOUT_ORDER = {
    "uniform": NONE,
    "conflict": NONE,
    "negmerge": NEGMERGE,
    "relaxed": RELAXED,
    "emr": NONE,
    "random-mask": NONE,
    "consensus": NONE,
    "ties": options(density=st.just(0.5), reduce=REDUCE),
}
SCALED = {
    "uniform": NONE,
    "conflict": NONE,
    "negmerge": NEGMERGE,
    "relaxed": RELAXED,
    "emr": NONE,
    "magmax": NONE,
    "random-mask": NONE,
    "consensus": NONE,
    "breadcrumbs": NONE,
    "ties": options(density=st.floats(0, 1)),
}


@pytest.mark.parametrize(("method", "strategy"), OWN.items(), ids=OWN)
def test_one_model_is_its_own_merge(method, strategy):
    @given(pools(largest=1), strategy)
    def check(pool, chosen):
        assert_equal(merge(method, pool, **chosen), pool[0])

    check()


@pytest.mark.parametrize(("method", "strategy"), WITHOUT_ORDER.items(), ids=WITHOUT_ORDER)
def test_the_order_of_models_does_not_matter(method, strategy):
    @given(pools(numbers=EXACT), st.data(), strategy)
    def check(pool, data, chosen):
        shuffled = data.draw(st.permutations(pool))
        assert bits(merge(method, shuffled, **chosen)) == bits(merge(method, pool, **chosen))

    check()


@pytest.mark.parametrize(("method", "strategy"), SCALED.items(), ids=SCALED)
def test_scaling_by_a_power_of_two_scales_the_merge(method, strategy):
    @given(pools(), st.integers(-10, 10), strategy)
    def check(pool, power, chosen):
        shifted = merge(method, [scaled(vector, 2.0**power) for vector in pool], **chosen)
        assert_equal(shifted, scaled(merge(method, pool, **chosen), 2.0**power))

    check()


def test_inputs_stay_as_they_are():
    for method in METHODS:
        pool = [{"w": torch.tensor([1.0, -2.0])}, {"w": torch.tensor([3.0, 4.0])}]
        copies = [{"w": vector["w"].clone()} for vector in pool]
        merge(method, pool)["w"].zero_()
        for vector, copy in zip(pool, copies, strict=True):
            assert_equal(vector, copy)


@pytest.mark.parametrize("method", METHODS)
def test_tensors_that_were_frozen_stay_exactly_zero(method):
    pool = [vector | {"frozen": torch.zeros(50)} for vector in random_pool(1, 3)]
    merged = merge(method, pool)
    assert not merged["frozen"].any()
    assert merged["a"].any()
