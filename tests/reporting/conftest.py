import pytest
from reporting_examples import METHODS, score, write_json

from negmerge.reporting.kinds import figure_kind
from negmerge.reporting.style import settings


@pytest.fixture
def scores():
    """Three methods on two tasks; 160 of 200 control images are right, or fewer."""
    forget = {"digits": (120, 40, 60), "letters": (100, 80, 90)}
    control = {"digits": (160, 150, 152), "letters": (160, 152, 156)}
    return [
        score("a", task, *row)
        for task in forget
        for row in zip(METHODS, forget[task], control[task], strict=True)
    ]


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
def draw(tmp_path):
    """A function that draws a figure from files, or from records that it writes into files."""

    def draw(figure, **files):
        for name, found in files.items():
            # What rule `signs` notes is no list of records.
            held = [one if name == "signs" else [one] for one in found]
            files[name] = [
                write_json(tmp_path / f"{name}{number}.json", held[number])
                if isinstance(one, dict)
                else one
                for number, one in enumerate(found)
            ]
        with settings():
            return figure_kind(figure["kind"]).draw(figure, **files)

    return draw
