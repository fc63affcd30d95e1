"""An independent recomputation of a finished study, from its files on disk.

It takes another path than the project: nothing here imports negmerge, torch or pandas. What is read
are the files below `results/{study}`, by json, csv and safetensors.numpy; what is computed is
computed with numpy, and the membership attack with scikit-learn. Formulas are written anew from the
papers and from docs/, so that a mistake would have to be made twice.
"""

from collections.abc import Iterable
from pathlib import Path

from recomputation import scores, tables, vectors
from recomputation.study import Ledger, Study

# Kinds of which a study may have nothing that can be compared.
OPTIONAL = {vectors.OTHERS, vectors.COUNTS, scores.SEARCHED}
OPTIONAL |= {tables.COSTS, tables.TREATED, tables.BOOTSTRAP}
# What is computed of the images and choices, and so is there whatever checkpoints are kept.
NUMBERS = (
    "choices by rule control",
    "choices by rule gap",
    "choices by rule retain",
    scores.CHOICES,
    scores.COUNTS,
    scores.ATTACK,
    "accuracies in tables",
    "average gaps in tables",
    tables.AMOUNT,
    tables.MCNEMAR,
)
# What is computed of checkpoints.
WEIGHTS = (
    vectors.VECTORS,
    *(f"merges by {name}" for name in (*vectors.FORMULAS, "greedy", "random-mask")),
    vectors.COUNTS,
)


def recompute(folder: Path, required: Iterable[str] = ()) -> Ledger:
    """Recompute all numbers of `results/{study}`, which must have those of the required kinds."""
    study = Study(folder)
    ledger = Ledger(required, OPTIONAL)
    for module in (vectors, scores, tables):
        module.check(study, ledger)
    return ledger
