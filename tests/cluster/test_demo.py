"""The demo through the profile as it is, to the report, with the bytes of a local run."""

import os
import random
import time

import pytest

pytestmark = pytest.mark.skipif("DEMO" not in os.environ, reason="long: DEMO=1 make test-slurm")
ROUNDS = int(os.environ.get("ROUNDS", "10"))


@pytest.fixture(scope="module")
def local(checkout, tmp_path_factory):
    """The demo made without a cluster."""
    copy = checkout.copy(tmp_path_factory.mktemp("demo") / "workflow")
    run = copy.snakemake("--cores", str(os.cpu_count()))
    assert run.returncode == 0, run.stdout + run.stderr
    return copy


def assert_same(on_cluster, local):
    found, expected = on_cluster.artefacts("demo"), local.artefacts("demo")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


def test_the_profile_runs_the_demo_with_the_bytes_of_a_local_run(on_cluster, local):
    assert on_cluster.start_plainly().wait() == 0, on_cluster.printed
    assert_same(on_cluster, local)
    assert {job["State"] for job in on_cluster.jobs("State")} == {"COMPLETED"}


def test_the_demo_outlives_nodes_that_fail_at_any_moment(cluster, on_cluster, local):
    chance = random.Random("any moment")
    run = on_cluster.start_plainly()
    rounds = 0
    while run.poll() is None and rounds < ROUNDS:
        time.sleep(chance.uniform(10, 60))
        rounds += cluster.fail_a_node(chance)
    assert run.wait() == 0, on_cluster.printed
    assert rounds == ROUNDS
    assert_same(on_cluster, local)
    states = [job["State"] for job in on_cluster.jobs("State", duplicates=True)]
    assert states.count("NODE_FAIL") >= ROUNDS
