"""How long a run still takes, from the times of the jobs that are done."""

from collections import defaultdict
from collections.abc import Mapping


class Remaining:
    """An estimate that takes each rule by itself, since jobs of one rule take about as long.

    Args:
        jobs: how many jobs of each rule the run has.
    """

    def __init__(self, jobs: Mapping[str, int]):
        self.left = dict(jobs)
        self.times: dict[str, list[float]] = defaultdict(list)

    def finish(self, rule: str, seconds: float) -> None:
        """Count a job that is done and what it took, in seconds."""
        self.left[rule] -= 1
        self.times[rule].append(seconds)

    def seconds(self, elapsed: float) -> float:
        """Return how many seconds the run still takes, once a job is done.

        A job whose rule has none done yet counts as the mean of all. As many jobs are taken to run
        side by side as did so far.

        Args:
            elapsed: the seconds since the run began, > 0.
        """
        done = [seconds for times in self.times.values() for seconds in times]
        mean = sum(done) / len(done)
        work = 0.0
        for rule, left in self.left.items():
            times = self.times.get(rule)
            work += left * (sum(times) / len(times) if times else mean)
        return work / max(1.0, sum(done) / elapsed)
