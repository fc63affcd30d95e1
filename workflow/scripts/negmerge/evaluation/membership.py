"""The membership attack of the unlearning literature: do forgotten images look unseen?

It is that of SalUn's code (OPTML-Group/Unlearn-Saliency, Classification/evaluation/SVC_MIA.py): a
support vector classifier learns to tell images that the model was trained on (members) from test
images (non-members) by what the model says about them, and judges the forgotten images. The papers
report the feature `confidence`. The best value is that of Retrain, not the highest.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from negmerge.errors import NotFinite, UserError
from negmerge.seeds import derive_seed

# Stands for a probability of 0 in logarithms, as in SalUn's code.
TINY = 1e-30

FEATURES = ("confidence", "correctness", "entropy", "m_entropy_official", "m_entropy", "prob")


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """Return numbers if all of them are finite."""
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise NotFinite(f"membership attack: {name} hold {bad} NaN or infinite of {values.size}")
    return values


def features(logits: ArrayLike, labels: ArrayLike) -> dict[str, np.ndarray]:
    """Compute what the attack can look at; p is the softmax of the logits, y the true class.

    - `confidence`: p_y.
    - `correctness`: 1 where the largest logit (the first among equals) is that of y, otherwise 0.
    - `entropy`: -sum_i p_i log p_i.
    - `m_entropy`: the modified entropy of Song and Mittal (USENIX Security 2021, equation 8),
      -(1 - p_y) log p_y - sum_{i != y} p_i log(1 - p_i).
    - `m_entropy_official`: what SalUn's code computes for it, -sum_i q_i log p_i, where q_i is
      1 - p_i for the classes that are in `labels` at all and p_i for the others. It is wrong, and
      here to compare with numbers of that code. It depends on the other images.
    - `prob`: p.
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or labels.dtype.kind not in "iu":
        raise UserError(
            f"membership attack: logits {list(logits.shape)} and {labels.dtype} labels "
            f"{list(labels.shape)}, expected [n, classes] and whole numbers [n]"
        )
    finite(logits, "logits")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    prob = powers / powers.sum(axis=1, keepdims=True)
    log_prob = np.log(np.maximum(prob, TINY))
    true = np.zeros(prob.shape, bool)
    true[np.arange(len(labels)), labels] = True
    swapped = np.where(true, 1 - prob, prob)
    log_swapped = np.where(true, log_prob, np.log(np.maximum(1 - prob, TINY)))
    return {
        "confidence": prob[true],
        "correctness": (logits.argmax(axis=1) == labels).astype(np.float64),
        "entropy": -(prob * log_prob).sum(axis=1),
        "m_entropy_official": -(np.where(true.any(axis=0), 1 - prob, prob) * log_prob).sum(axis=1),
        "m_entropy": -(swapped * log_swapped).sum(axis=1),
        "prob": prob,
    }


# Of the classifier, in SalUn's code.
PENALTY, GAMMA, KERNEL = 3, "auto", "rbf"

# Logits (n, classes) and labels (n,).
Outputs = tuple[ArrayLike, ArrayLike]


def svc_membership(
    member_confidence: ArrayLike, nonmember_confidence: ArrayLike, forget_confidence: ArrayLike
) -> float:
    """Attack with one feature: the percentage of forgotten images taken for non-members.

    Arguments and errors are those of `svc_unseen`.
    """
    return percent(svc_unseen(member_confidence, nonmember_confidence, forget_confidence))


def percent(unseen: np.ndarray) -> float:
    """Return the share of images that look unseen, in percent."""
    return 100 * int(np.count_nonzero(unseen)) / len(unseen)


def svc_unseen(
    member_confidence: ArrayLike, nonmember_confidence: ArrayLike, forget_confidence: ArrayLike
) -> np.ndarray:
    """Attack with one feature: which forgotten images are taken for non-members, (n,) bool.

    An SVC with an RBF kernel, C = 3 and gamma = 1 / (numbers per image), without scaling. The time
    grows with the square of the number of images, see benchmarks/membership.py. Each argument is
    (n,) or (n, numbers), numpy or torch (CPU): for the papers' value, the softmax probability of
    the true class of retain images, of as many test images, and of the forgotten ones. An empty
    one, NaN or an infinity is a UserError.
    """
    # Here, since it takes seconds to import and other scores do without it.
    from sklearn.svm import SVC

    members = _column(member_confidence, "members")
    nonmembers = _column(nonmember_confidence, "non-members")
    forget = _column(forget_confidence, "forget")
    labels = np.repeat([1, 0], [len(members), len(nonmembers)])
    attack = SVC(C=PENALTY, gamma=GAMMA, kernel=KERNEL)
    attack.fit(np.concatenate([members, nonmembers]), labels)
    return attack.predict(forget) == 0


def _column(feature: ArrayLike, name: str) -> np.ndarray:
    values = np.asarray(feature, dtype=np.float64)
    if not values.size:
        raise UserError(f"membership attack: no {name}, expected at least 1 image")
    return finite(values, name).reshape(len(values), -1)


def to_learn_from(
    members: Sequence[ArrayLike], nonmembers: Sequence[ArrayLike], seed: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Take as many members, the first retain images, as test images, all or drawn.

    Of each kind of images there are arrays, with a row for each image.
    """
    retain, test = (len(arrays[0]) for arrays in (members, nonmembers))
    drawn, count = np.arange(test), min(retain, test)
    if count < test:
        # The one of numpy's generators that promises the same numbers in every version (NEP 19).
        random = np.random.RandomState(derive_seed(seed, "membership"))
        drawn = np.sort(random.choice(test, count, replace=False))
    return [np.asarray(a)[:count] for a in members], [np.asarray(a)[drawn] for a in nonmembers]


def attack_record(verdicts: Mapping[str, np.ndarray], retain: int, test: int) -> dict[str, object]:
    """Return what a score holds of an attack: its success by feature, and how many images it had.

    `verdicts` are those of `membership_verdicts`.
    """
    used = dict.fromkeys(("members", "nonmembers"), min(retain, test))
    success = {name: percent(unseen) for name, unseen in verdicts.items()}
    images = used | {"of_retain": retain, "of_test": test}
    return {"membership": success, "membership_images": images}


def membership_verdicts(
    members: Outputs,
    nonmembers: Outputs,
    forget: Outputs,
    names: Sequence[str] = FEATURES,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Attack a model with each feature by itself: by feature, which forgotten images look unseen.

    Outputs are logits and labels of all retain images, in the order of the data set and without
    augmentation; of all test images; and of the forgotten ones. `to_learn_from` says which of them
    are used, and needs the seed. Each of the features wanted, `names`, costs a classifier of its
    own. No images of one kind, and what `features` refuses, are a UserError.
    """
    known, unseen = (features(*arrays) for arrays in to_learn_from(members, nonmembers, seed))
    judged = features(*forget)
    return {name: svc_unseen(known[name], unseen[name], judged[name]) for name in names}
