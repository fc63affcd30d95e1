"""A finished study is recorded: its numbers are those of its tables and benchmarks."""

from datetime import timedelta

import pandas as pd
import pytest
import results


@pytest.fixture(scope="module")
def found(finished):
    return results.record(finished.folder / "results" / "tiny", ["It is tiny."])


def test_rows_are_those_of_the_tables(finished, found):
    files = (finished.folder / "results" / "tiny" / "tables").glob("*.csv")
    cells = pd.concat([pd.read_csv(file) for file in files])
    means = cells[cells["experiment"].eq("mean") & cells["row"].notna()]
    assert {table["forgets"].split()[0] for table in found["tables"]} == {"digits", "10"}
    for table in found["tables"]:
        own = means[means["column"].str.replace("`", "").eq(table["column"])]
        own = own if len(own) else means[means["metric"].eq("gap")]
        for row in table["rows"]:
            value = row["scores"][table["headline"]]["value"]
            cell = own[own["method"].eq(row["method"]) & own["metric"].eq(table["headline"])]
            assert value in cell["value"].to_list()
            assert row["choice"]
        assert set(table["against"].values()) <= {
            "won", "lost", "not told apart", "too little to forget", "not compared"
        }  # fmt: skip


def test_it_says_what_the_jobs_took_and_where(finished, found):
    files = list((finished.folder / "results" / "tiny" / "benchmarks").rglob("*.tsv"))
    times = pd.concat([pd.read_csv(file, sep="\t", na_values=["-"]) for file in files])
    took = found["took"]
    assert took["jobs"] == len(files)
    assert took["largest_job_mb"] == round(times["max_rss"].max())
    assert took["processor_minutes"] == round(times["cpu_time"].sum() / 60, 1)
    assert 0 < took["minutes"] <= times["s"].sum() / 60 + 1
    assert found["machine"]["cores"] > 0
    assert found["versions"]["negmerge"]
    assert "It is tiny." in results.section(found)


def test_pauses_between_pieces_do_not_count():
    def job(start, seconds):
        return {"started": f"2026-01-01T{start}+00:00", "seconds": seconds}

    # Two at once, one soon after them, and one after an hour's pause.
    jobs = [job("10:00:00", 60), job("10:00:30", 60), job("10:02:00", 30), job("11:30:00", 90)]
    assert results.busy(jobs) == timedelta(seconds=150 + 90)


def test_a_study_that_has_not_ended_is_named(finished, tmp_path):
    copy = finished.copy(tmp_path / "workflow").folder
    table = next((copy / "results" / "tiny" / "tables").glob("*.csv"))
    table.unlink()
    with pytest.raises(SystemExit, match=table.name):
        results.record(copy / "results" / "tiny", [])
