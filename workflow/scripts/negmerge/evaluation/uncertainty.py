"""How sure a number is: standard errors over images, and whether two models differ on the same."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# Above this two-sided p a difference is not told apart from none: about two standard errors.
SIGNIFICANCE = 0.05
RESAMPLES = 1000
# Resamples that are drawn at once: 100 x 50,000 counts are 40 MB.
CHUNK = 100


def binomial_error(share: float, n: int) -> float:
    """Return the standard error of a share of n images: sqrt(p (1 - p) / n), 0..0.5.

    It holds for accuracies, and for the membership attack with its classifier as it was trained.
    A share of exactly 0 or 1 has the error 0, which only says that n images show none.
    """
    return math.sqrt(share * (1 - share) / n)


def paired_error(first: ArrayLike, second: ArrayLike) -> float:
    """Return the standard error of the difference of two means on the same items.

    sqrt(sum d^2 - (sum d)^2 / n) / n of the differences d. Of shares that is sqrt((b + c -
    (b - c)^2 / n)) / n, where b images are right (1) by the first model only and c by the second
    only; images on which both agree do not count.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    n, unlike = len(differences), float((differences**2).sum())
    return math.sqrt(max(unlike - float(differences.sum()) ** 2 / n, 0)) / n


def paired_p(first: ArrayLike, second: ArrayLike) -> float:
    """Test whether two models have the same mean on the same items (n,), by the bootstrap.

    The p is two-sided, above 0 and at most 1.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return float(two_sided(bootstrap_means(differences[:, None], np.random.default_rng(0)))[0])


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """Test whether two models are right equally often, exactly: McNemar's test.

    Of the images on which they differ, each is as likely to be right by the one as by the other. As
    exact binomial test, it holds for small numbers (McNemar 1947; Fagerland et al. 2013). Both are
    (n,) of 0 and 1; images of several trials may follow one another. The p is two-sided, 0..1; 1
    where they differ on no image.
    """
    # Here, since it takes half a second to import.
    from scipy.stats import binomtest

    differences = np.asarray(first, np.int64) - np.asarray(second, np.int64)
    unlike = int(np.abs(differences).sum())
    only_first = (unlike + int(differences.sum())) // 2
    return float(binomtest(only_first, unlike).pvalue) if unlike else 1.0


def beyond_chance(shares: Sequence[float], counts: Sequence[int], chances: Sequence[float]):
    """Test whether the mean of several accuracies is that of guessing.

    By the normal approximation, with the variance that guessing has: c (1 - c) / n.
    """
    variance = sum(c * (1 - c) / n for c, n in zip(chances, counts, strict=True))
    distance = abs(math.fsum(shares) - math.fsum(chances))
    return math.erfc(distance / math.sqrt(2 * variance))


def bootstrap_means(
    outcomes: ArrayLike, generator: np.random.Generator, resamples: int = RESAMPLES
) -> np.ndarray:
    """Draw n images anew, with replacement: means (resamples, columns) of outcomes (n, columns).

    All columns get the same images, so that differences between them are paired (Efron and
    Tibshirani 1993).
    """
    values = np.asarray(outcomes, np.float64)
    n, means = len(values), np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, CHUNK):
        drawn = range(min(CHUNK, resamples - start))
        counts = [np.bincount(generator.integers(n, size=n), minlength=n) for _ in drawn]
        means[start : start + CHUNK] = np.array(counts, np.float64) @ values / n
    return means


def two_sided(differences: ArrayLike) -> np.ndarray:
    """Test whether resampled differences are on one side of 0.

    Twice the smaller share of resamples at 0 or beyond, with one more counted so that no p
    is 0 (Davison and Hinkley 1997).
    """
    drawn = np.asarray(differences)
    beyond = np.minimum((drawn <= 0).sum(axis=0), (drawn >= 0).sum(axis=0))
    return np.minimum(2 * (beyond + 1) / (len(drawn) + 1), 1)


def differs_over_trials(differences: Sequence[float]) -> float:
    """Test whether the differences of several trials have the mean 0: Student's paired t-test.

    It includes what images cannot show, the chance in a training. With two trials it has one degree
    of freedom, and seldom shows a difference. The p is 1 where all are 0, and 0 where all are
    another number.
    """
    from scipy.stats import ttest_1samp

    if min(differences) == max(differences):
        return float(differences[0] == 0)
    return float(ttest_1samp(differences, 0).pvalue)
