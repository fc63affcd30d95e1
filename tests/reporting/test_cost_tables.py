from pathlib import Path

import pytest
from reporting_examples import benchmark, choice, lay_out, table, write_json

from negmerge.errors import UserError
from negmerge.jobs.job import WAITED
from negmerge.log_lines import MERGED, SEEN
from negmerge.reporting.layout import markdown
from negmerge.reporting.runtime import rule_times
from negmerge.reporting.tables.cost import KIND


@pytest.fixture
def paths(tmp_path):
    jobs = {
        "merge/a/digits/negmerge.tsv": ("2.5", "0:00:02", "300.0", "900", "2.0"),
        "merge/a/letters/negmerge.tsv": ("3.5", "0:00:03", "500.0", "900", "2.0"),
        "greedy/a/digits/greedy.tsv": ("20.0", "0:00:20", "700.0", "900", "2.0"),
        "greedy/a/letters/greedy.tsv": ("30.0", "0:00:30", "-", "-", "2.0"),
    }
    return [benchmark(tmp_path, place, *values) for place, values in jobs.items()]


def test_of_a_repeated_job_the_last_run_counts_and_waiting_for_a_gpu_costs_nothing(paths):
    with open(paths[0], "a") as stream:
        stream.write("9.0\t0:00:09\t301.0\t900\t2.0\n")
    log = Path(str(paths[2]).replace("/benchmarks/", "/logs/")).with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.write_text(f"waiting for a GPU: other jobs have all 1\n{WAITED.format(12.5)}\nmerged\n")
    assert [one["seconds"] for one in KIND.read(paths)] == [9.0, 3.5, 7.5, 30.0]
    greedy, _ = rule_times(paths)
    assert (greedy.rule, greedy.total_s) == ("greedy", 37.5)


@pytest.mark.parametrize("text", ["", "a\tb\n1\t2\n", "s\tmax_rss\tcpu_time\nlong\t1\t1\n"])
def test_a_file_that_is_no_benchmark_is_named(tmp_path, text):
    path = tmp_path / "negmerge.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"negmerge.tsv: not a benchmark of Snakemake \("):
        KIND.read([path])


def test_a_table_of_costs(paths):
    rows = {"negmerge": "NegMerge", "greedy": "Greedy Merge"}
    definition = table(kind="cost", rows=rows, title="Costs")
    printed = lay_out(definition, KIND.cells(definition, KIND.read(paths), {}))
    assert printed.rows == [["NegMerge", "3.00", "400.00"], ["Greedy Merge", "25.00", "NA"]]
    text = markdown(printed)
    assert "time (s, lower is better) | peak memory (MB, lower is better) |" in text
    assert "B/32: mean of 2 cells, a/digits, a/letters." in text


def test_the_search_and_the_training_of_the_pool_are_costs(paths, tmp_path):
    trained = [
        benchmark(tmp_path, f"finetune/a/digits/{point}.tsv", seconds, "0:01:00", "9", "9", "9")
        for point, seconds in (("p1", 60.0), ("p2", 80.0))
    ]
    chosen = []
    for method, models, passes in (("negmerge", 2, 300), ("task-arithmetic", 1, 900)):
        record = choice("a", "digits", method, 0.5, 10, 80, kind="merge", models=models, tried=9)
        record |= {"passes": passes, "passes_full": 1000}
        chosen.append(write_json(tmp_path / f"{method}.json", [record]))
    for path, line in (
        *((path, SEEN.format(items)) for path, items in zip(trained, (500, 700), strict=True)),
        (paths[0], MERGED.format("1.234", "0.250")),
    ):
        log = Path(str(path).replace("/benchmarks/", "/logs/")).with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"step 1\n{line}\n")
    definition = table(
        kind="cost", rows={"negmerge": "NegMerge", "task-arithmetic": "Single"}, title="Costs"
    )
    found = KIND.read([paths[0], *trained, *chosen])
    assert lay_out(definition, KIND.cells(definition, found, {})).rows == [
        ["NegMerge", "2", "1,200", "140.00", "2.50", "1.23", "0.25", "300.00", "300", "1,000"],
        ["Single", "1", "600", "70.00", "NA", "NA", "NA", "NA", "900", "1,000"],
    ]


def test_times_are_summed_by_rule(paths, tmp_path):
    select = benchmark(tmp_path, "select/a.digits.negmerge.tsv", 1.0, "0:00:01", "-", 1, 0)
    greedy, merge, last = rule_times([*paths, select])
    assert (last.rule, last.jobs, last.memory_mb) == ("select", 1, None)
    assert (merge.rule, merge.jobs, merge.total_s, merge.mean_s) == ("merge", 2, 6.0, 3.0)
    assert (merge.cpu_s, merge.memory_mb, greedy.total_s) == (4.0, 500.0, 50.0)
