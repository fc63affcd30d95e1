"""What the jobs of a study take on each of the machines of `config/costs.yaml`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from negmerge.planning import work
from negmerge.planning.case import Case, Work
from negmerge.planning.estimates import LOADERS, spent
from negmerge.planning.jobs import Job
from negmerge.settings.compute import PRESETS
from negmerge.settings.costs import Costs
from negmerge.settings.study import Study

# The precision of the preset `fast` of `compute`.
FAST = PRESETS["fast"]["precision"]


class Prices:
    """What jobs take.

    Args:
        study: theirs.
        costs: the numbers.
    """

    def __init__(self, study: Study, costs: Costs):
        self._study, self._costs = study, costs
        self._works: dict[Job, Work] = {}

    def spent(
        self, jobs: Iterable[Job], device: str | None = None, precision: str | None = None
    ) -> Counter[str]:
        """Add up the seconds of jobs by what they are spent on, see `estimates.spent`.

        Args:
            jobs: the jobs.
            device: where networks compute, a name in `costs.devices`; None: as it is configured.
            precision: in which; None: that of the study.
        """
        total: Counter[str] = Counter()
        for job in jobs:
            done = self._work(job)
            if precision is not None:
                done = replace(done, precision=precision)
            where = device or ("cuda" if job.gpu else "cpu")
            loaders = LOADERS if where != "cpu" else 0
            total.update(spent(done, self._costs, device=where, loaders=loaders))
        return total

    def gpu_memory(self, jobs: Iterable[Job]) -> dict[str, dict]:
        """Return by model the most that one of the jobs on a GPU needs there.

        Returns:
            `gigabytes`, in float32, and the `rule` of that job.
        """
        most: dict[str, dict] = {}
        for job in jobs:
            done = self._work(job)
            if job.gpu and done.computes:
                name = self._study.experiments[job.wildcards["experiment"]].model
                found = {"gigabytes": done.memory.of_gpu(self._costs) / 1e9, "rule": job.rule}
                most[name] = max(most.get(name, found), found, key=lambda one: one["gigabytes"])
        return most

    def machines(self, jobs: Iterable[Job]) -> list[dict]:
        """Return the hours of jobs on each machine, in float32 and in the preset `fast`.

        Returns:
            `name` in the file, `title`, `hours`, and `fast`, None where there is no such rate.
        """
        return [
            {
                "name": name,
                "title": device.title,
                "hours": self.spent(jobs, name, "fp32").total() / 3600,
                "fast": self.spent(jobs, name, FAST).total() / 3600 if device.flops.bf16 else None,
            }
            for name, device in self._costs.devices.items()
        ]

    def _work(self, job: Job) -> Work:
        if job not in self._works:
            experiment = self._study.experiments.get(job.wildcards.get("experiment"))
            precision = self._study.compute.precision
            case = Case(job.wildcards, self._study.catalogue, self._costs, experiment, precision)
            self._works[job] = work.of_rule(job.rule)(case)
        return self._works[job]
