from reporting_examples import benchmark

from negmerge.reporting.runtime import rule_times


def test_times_are_summed_by_rule(tmp_path):
    paths = [
        benchmark(tmp_path, "finetune/a.digits.m1.tsv", 10.0, "0:00:10", 300.0, 1, 8.0),
        benchmark(tmp_path, "finetune/a.digits.m5.tsv", 20.0, "0:00:20", 500.0, 1, 15.5),
        benchmark(tmp_path, "select/a.digits.negmerge.tsv", 40.0, "0:00:40", "-", 1, 0),
    ]
    select, finetune = rule_times(paths)
    assert (select.rule, select.jobs, select.memory_mb) == ("select", 1, None)
    assert (finetune.rule, finetune.jobs, finetune.total_s, finetune.mean_s) == (
        "finetune", 2, 30.0, 15.0,
    )  # fmt: skip
    assert (finetune.cpu_s, finetune.memory_mb) == (23.5, 500.0)
