"""Time the membership attack on as many points as CIFAR-10 gives.

    python benchmarks/membership.py [--members 10000] [--forget 5000]

Draws logits like those of a trained classifier: members are nearly all right and sure, test images
less so. It times every feature of the attack and, for the confidence, the bare call of scikit-learn
with the same numbers, and writes benchmarks/membership.json and, as Markdown, what stands between
the `membership` marks of docs/dev/measurements.md.
"""

import argparse
import json
import time

import numpy as np
import sklearn
from marks import MEASUREMENTS, ROOT, machine, machine_of, write_between
from sklearn.svm import SVC

from negmerge.evaluation.membership import (
    FEATURES,
    features,
    membership_verdicts,
    percent,
    svc_membership,
)

RECORD = ROOT / "benchmarks" / "membership.json"
CLASSES = 10
# Accuracy in percent and mean margin of the true class over the others, as logits.
KINDS = {"members": (100, 12.0), "nonmembers": (94, 9.0), "forget": (95, 9.5)}


def outputs(kind: str, count: int, random: np.random.Generator):
    """Draw logits (count, classes) float32 and labels (count,)."""
    right, margin = KINDS[kind]
    labels = random.integers(0, CLASSES, count)
    wrong = (labels + random.integers(1, CLASSES, count)) % CLASSES
    answers = np.where(100 * random.random(count) < right, labels, wrong)
    logits = random.normal(0, 1, (count, CLASSES))
    logits[np.arange(count), answers] += random.gamma(6, margin / 6, count)
    return logits.astype(np.float32), labels


def timed(call):
    """Return a call's result and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, round(time.perf_counter() - start, 2)


def bare(members: np.ndarray, nonmembers: np.ndarray, forget: np.ndarray) -> float:
    """Attack with scikit-learn alone."""
    attack = SVC(C=3, gamma="auto", kernel="rbf")
    shadow = np.concatenate([members, nonmembers]).reshape(-1, 1)
    attack.fit(shadow, np.repeat([1, 0], [len(members), len(nonmembers)]))
    return 100 * (1 - attack.predict(forget.reshape(-1, 1)).mean())


def measure(members: int, forget: int) -> dict:
    """Time the attack on twice `members` points and `forget` images."""
    random = np.random.default_rng(0)
    counts = {"members": members, "nonmembers": members, "forget": forget}
    drawn = {kind: outputs(kind, count, random) for kind, count in counts.items()}
    confidences, seconds = timed(
        lambda: [features(*drawn[kind])["confidence"] for kind in counts],
    )
    print(f"features of all images: {seconds} s")
    record = {"images": counts, "features_seconds": seconds}
    for name, call in (("scikit-learn", bare), ("svc_membership", svc_membership)):
        success, seconds = timed(lambda call=call: call(*confidences))
        record[name] = {"percent": round(float(success), 4), "seconds": seconds}
        print(f"confidence by {name}: {success:.2f} %, {seconds} s")
    record["attack"] = {}
    for name in FEATURES:
        found, seconds = timed(lambda name=name: membership_verdicts(*drawn.values(), [name]))
        success = percent(found[name])
        record["attack"][name] = {"percent": round(success, 4), "seconds": seconds}
        print(f"attack by {name}: {success:.2f} %, {seconds} s")
    return record


def markdown(record: dict) -> str:
    """Describe the record."""
    images = record["images"]
    lines = [
        f"The membership attack on {images['members']:,} members, {images['nonmembers']:,} others "
        f"and {images['forget']:,} forget images,",
        "by `benchmarks/membership.py` on drawn logits; one run of each feature. "
        f"{machine_of(record)}",
        "By the confidence it takes as long as the bare call of scikit-learn: "
        f"{record['svc_membership']['seconds']} s and {record['scikit-learn']['seconds']} s.",
        "",
        "| feature | s |",
        "| --- | ---: |",
        *(f"| `{name}` | {one['seconds']:.1f} |" for name, one in record["attack"].items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--members", type=int, default=10_000, help="and as many non-members")
    parser.add_argument("--forget", type=int, default=5_000)
    arguments = parser.parse_args()
    record = measure(arguments.members, arguments.forget)
    record |= {
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "machine": machine(),
    }
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    write_between(MEASUREMENTS, "membership", markdown(record))
