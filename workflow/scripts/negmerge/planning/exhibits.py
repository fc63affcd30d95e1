"""What a table or figure of a study takes, and what its hours are spent on."""

from collections import Counter
from collections.abc import Iterable

from negmerge.planning.chains import longest_chain
from negmerge.planning.jobs import Job, gigabytes
from negmerge.planning.prices import FAST, Prices


def exhibit_row(name: str, jobs: Iterable[Job], prices: Prices) -> dict:
    """Plan a table or a figure by itself, as if nothing else of the study were wanted.

    Args:
        name: its name.
        jobs: those behind it.
        prices: what they take.

    Returns:
        `name`; how many `jobs` are to do; `hours` that these take a GPU, or all jobs a core where
        no job has a GPU; `binds`, see `_hours`; likewise `fast_hours` and `fast_binds` in the
        preset `fast`, without a GPU None; hours of the longest `chain`; `fetch` and `write` in GB.
    """
    to_do = [job for job in jobs if job.to_do]
    on_gpu = [job for job in to_do if job.gpu]
    unit = "GPU" if on_gpu else "CPU"
    hours, binds = _hours(prices.spent(on_gpu or to_do), unit)
    fast = _hours(prices.spent(on_gpu, precision=FAST), unit) if on_gpu else (None, None)
    return {
        "name": name,
        "jobs": len(to_do),
        "hours": hours,
        "binds": binds,
        "fast_hours": fast[0],
        "fast_binds": fast[1],
        "chain": sum(job.estimate_s for job in longest_chain(to_do)) / 3600,
        "fetch": gigabytes(job for job in to_do if job.fetches),
        "write": gigabytes(to_do),
    }


def _hours(spent: Counter[str], unit: str) -> tuple[float, str]:
    """Return all hours, and what most of them are spent on with its share, such as `GPU 93 %`.

    Args:
        spent: seconds by what they are spent on, see `estimates.spent`.
        unit: what passes images through networks.
    """
    total = spent.total()
    if not total:
        return 0.0, "nothing"
    what, most = max(spent.items(), key=lambda item: item[1])
    return total / 3600, f"{unit if what == 'computing' else what} {100 * most / total:.0f} %"
