"""Hours used and planned, and the end that is expected."""

import pytest
from watched_jobs import NOW, begin, finish, job, log

from negmerge.watching.pace import measure
from negmerge.watching.states import look


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_hours_by_unit():
    trained = [job("finetune", f"{n}/x", gpu=True) for n in range(4)]
    merged = job("merge", "0/y", *trained, estimate=36)
    for one in trained[:3]:
        finish(one, 900, 50)
    hours = measure(look([*trained, merged]))["hours"]
    assert hours["gpu"] == pytest.approx(
        {
            "used": 150 / 3600,
            "used_by_done": 150 / 3600,
            "planned_for_done": 300 / 3600,
            "planned": 400 / 3600,
        }
    )
    assert hours["cpu"] == pytest.approx(
        {"used": 0, "used_by_done": 0, "planned_for_done": 0, "planned": 0.01}
    )


def test_what_is_left_follows_from_what_jobs_of_a_rule_took_and_how_many_ran_at_once():
    trained = [job("finetune", f"{n}/x") for n in range(6)]
    merged = job("merge", "0/y", *trained, estimate=40)
    # Two and two side by side, with a break; half as long as planned.
    for one, before in zip(trained, (900, 900, 300, 300), strict=False):
        finish(one, before, 50)
    found = measure(look([*trained, merged]))
    assert found["side_by_side"] == pytest.approx(2)
    assert found["left"] == pytest.approx((2 * 50 + 40) / 3600)
    # A chain of 50 and 40 seconds takes longer than 140 on two.
    assert found["hours_to_end"] == pytest.approx(90 / 3600)
    assert found["ends"] is None


def test_a_job_at_work_says_itself_what_is_left_or_has_used_some():
    done, one, other = (job("finetune", f"{n}/x") for n in range(3))
    finish(done, 400, 100)
    begin(one, 60)
    log(one, "step 2/9  70 s left\n")
    begin(other, 60)
    log(other, "step 2\n")
    found = measure(look([done, one, other]))
    assert found["left"] == pytest.approx((70 + 40) / 3600)
    assert found["side_by_side"] == 2
    assert found["ends"] == pytest.approx(NOW + 70)
    assert found["hours"]["cpu"]["used"] == pytest.approx((100 + 60 + 60) / 3600)


def test_before_anything_has_run_no_end_is_known():
    found = measure(look([job("finetune", "0/x")]))
    assert (found["side_by_side"], found["hours_to_end"], found["ends"]) == (None, None, None)


def test_at_the_end_nothing_is_left():
    one = job("finetune", "0/x")
    finish(one, 400, 100)
    found = measure(look([one]))
    assert (found["left"], found["hours_to_end"]) == (0, 0)
