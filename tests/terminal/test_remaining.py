"""How long a run still takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_logger_plugin_negmerge.remaining import Remaining


def test_each_rule_takes_its_own_time():
    remaining = Remaining({"base": 1, "finetune": 3, "table": 10})
    for rule, seconds in (("finetune", 20), ("table", 1), ("table", 3)):
        remaining.finish(rule, seconds)
    # base: the mean of all; finetune: 2 of 20; table: 8 of 2
    assert remaining.seconds(elapsed=24) == pytest.approx(8 + 40 + 16)


def test_jobs_that_ran_side_by_side_go_on_so():
    remaining = Remaining({"sweep": 10})
    for _ in range(4):
        remaining.finish("sweep", 5)
    assert remaining.seconds(elapsed=10) == pytest.approx(15)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.floats(1, 1e6))
def test_nothing_is_left_of_a_finished_run(times, elapsed):
    remaining = Remaining({"sweep": len(times)})
    for seconds in times:
        remaining.finish("sweep", seconds)
    assert remaining.seconds(elapsed) == 0
