"""Jobs that wait for each other: what some files need, and how long it takes together."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import cache
from itertools import count
from operator import attrgetter, itemgetter

from negmerge.planning.jobs import Job


def longest_chain(
    jobs: Iterable[Job], seconds: Callable[[Job], float] = attrgetter("estimate_s")
) -> list[Job]:
    """Return the chain of jobs that takes longest, however many machines there are.

    Args:
        jobs: the jobs.
        seconds: how long each takes.
    """

    @cache
    def ending_with(job: Job) -> tuple[float, tuple[Job, ...]]:
        before = [ending_with(earlier) for earlier in job.after if earlier in wanted]
        earlier, chain = max(before, default=(0, ()), key=itemgetter(0))
        return earlier + seconds(job), (*chain, job)

    wanted = dict.fromkeys(jobs)
    return list(max(map(ending_with, wanted), default=(0, ()), key=itemgetter(0))[1])


def makespan(jobs: Iterable[Job], cores: int) -> float:
    """Return the seconds that jobs take on some cores, each begun as soon as it can be."""
    wanted = dict.fromkeys(jobs)
    waits = {job: sum(earlier in wanted for earlier in job.after) for job in wanted}
    followers: dict[Job, list[Job]] = defaultdict(list)
    for job in wanted:
        for earlier in job.after:
            followers[earlier].append(job)
    ready = [job for job in wanted if not waits[job]]
    running: list[tuple[float, int, Job]] = []
    now, free, number = 0.0, cores, count()
    while ready or running:
        starting, ready = ready, []
        for job in starting:
            if min(job.threads, cores) <= free:
                free -= min(job.threads, cores)
                heapq.heappush(running, (now + job.estimate_s, next(number), job))
            else:
                ready.append(job)
        now, _, done = heapq.heappop(running)
        free += min(done.threads, cores)
        for job in followers[done]:
            waits[job] -= 1
            if not waits[job]:
                ready.append(job)
    return now


def behind(jobs: Iterable[Job], files: Collection[str]) -> list[Job]:
    """Return the jobs that some files need, out of all."""
    waiting = [job for job in jobs if not set(files).isdisjoint(job.outputs)]
    found: dict[Job, None] = {}
    while waiting:
        job = waiting.pop()
        if job not in found:
            found[job] = None
            waiting += job.after
    return list(found)
