import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from negmerge.errors import NotFinite, UserError
from negmerge.evaluation.language import forget_quality, forget_quality_at

RATIOS = st.lists(st.floats(0, 10), min_size=2, max_size=30)
# p by steps of the distance, for 40 and for 20 questions; computed beside this project.
GRIDS = {
    40: {4: 0.99, 5: 0.919, 6: 0.766, 7: 0.579, 8: 0.405, 9: 0.266, 10: 0.165, 11: 0.0971,
         12: 0.0541, 13: 0.0286, 14: 0.0143, 15: 0.00676},
    20: {4: 0.832, 5: 0.571, 6: 0.336, 7: 0.175, 8: 0.0811, 9: 0.0335, 10: 0.0123, 12: 0.00112},
}  # fmt: skip


# Of ties, scipy's exact method may find a p above 1 and leave it to the other method.
@pytest.mark.filterwarnings("ignore:ks_2samp")
@given(RATIOS, RATIOS)
def test_it_is_the_test_of_two_samples_in_either_order(one, other):
    p, distance = forget_quality(one, other)
    found = ks_2samp(one, other)
    assert (p, distance) == (found.pvalue, found.statistic)
    assert forget_quality(other, one) == pytest.approx((p, distance), rel=1e-9)
    assert forget_quality(one, one) == (1.0, 0.0)


@pytest.mark.parametrize("n", GRIDS)
def test_the_grid_of_few_questions(n):
    grid = [forget_quality_at(step, n) for step in range(n + 1)]
    assert [round(n * point.distance, 6) for point in grid] == list(range(n + 1))
    for step, p in GRIDS[n].items():
        assert grid[step].p == pytest.approx(p, rel=0.006)
    assert grid[0].p == 1
    assert grid[n].p == pytest.approx(2 / math.comb(2 * n, n), rel=1e-9)


def test_the_logarithm_of_p_is_a_number_even_where_p_is_too_small_for_one():
    ratios = np.arange(600.0)
    found = forget_quality(ratios, ratios + 600)
    assert found.p == 0
    assert found.log10 == pytest.approx(-307.65, abs=0.01)
    assert forget_quality(ratios[:400], ratios[:400] + 400).log10 == pytest.approx(
        -238.97, abs=0.01
    )


def test_bad_ratios_are_refused():
    with pytest.raises(NotFinite, match=r"^truth ratios: 1 of 2 are NaN"):
        forget_quality([1.0, math.nan], [1.0])
    with pytest.raises(UserError, match=r"^forget quality: no truth ratios of the reference"):
        forget_quality([1.0], [])
