import pytest
from reporting_examples import score


@pytest.fixture
def scores():
    """Three methods on two tasks."""
    counts = {
        ("digits", "pretrained"): (120, 160),
        ("digits", "negmerge"): (40, 150),
        ("digits", "uniform"): (60, 152),
        ("letters", "pretrained"): (100, 160),
        ("letters", "negmerge"): (80, 152),
        ("letters", "uniform"): (90, 156),
    }
    return [score("a", task, method, *right) for (task, method), right in counts.items()]


@pytest.fixture
def sweep_files(tmp_path):
    """Sweeps of two points and a merge for one task; control falls from 80 to 60 of 100."""
    paths = []
    for vector, forget in {
        "m1": (60, 50, 40, 10),
        "m5": (60, 55, 45, 20),
        "negmerge": (60, 42, 30, 5),
    }.items():
        lines = [
            "experiment,task,vector,coefficient,forget_correct,forget_n,control_correct,control_n"
        ]
        for place, control in enumerate((80, 78, 76, 60)):
            lines.append(f"a,digits,{vector},{place * 0.5},{forget[place]},100,{control},100")
        paths.append(tmp_path / f"{vector}.csv")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


@pytest.fixture
def rulegraph():
    """What Snakemake 9 prints for `--rulegraph mermaid-js`."""
    return """---
title: DAG
---
flowchart TB
\tid0[all]
\tid1[report]
\tid2[evaluate]
\tid3[fine_tune]
\tid4[prepare]
\tstyle id0 fill:#D95757,stroke-width:2px,color:#333333
\tid1 --> id0
\tid2 --> id1
\tid3 --> id1
\tid4 --> id2
\tid3 --> id2
\tid4 --> id3
"""
