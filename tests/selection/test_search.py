from hypothesis import given, settings
from hypothesis import strategies as st

from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection.choice import Choice, Criterion, Point
from negmerge.selection.search import CoefficientGrid, explore, search

GRID = [0.0, 0.05, 0.1, 0.15, 0.2]


class Table:
    """Right answers by vector, coefficient, role and batch, and a count of what was looked up."""

    def __init__(self, sizes, rows, grid=GRID):
        self.sizes, self.rows, self.grid, self.asked = sizes, rows, grid, []

    def count(self, vector, coefficient, role, batch):
        self.asked.append((vector, coefficient, role, batch))
        return self.rows[vector][coefficient][role][batch]

    def images(self):
        return sum(self.sizes[role][batch] for _, _, role, batch in self.asked)

    def chosen(self, keep, halvings):
        """Choose as full sweeps do: all coefficients of all vectors, each on all images."""
        rule = Criterion("control", keep)
        points = []
        for vector, rows in self.rows.items():

            def measure(coefficient, vector=vector, rows=rows):
                accuracy = {
                    role: Accuracy(sum(rows[coefficient][role]), sum(self.sizes[role]))
                    for role in self.sizes
                }
                return Point(vector, coefficient, accuracy)

            grid = CoefficientGrid(self.grid)
            points += explore(measure(0.0), 0.0, grid, measure, [rule], halvings)
        return rule.choose(points), points


# Scores between 0 and 1 are multiples of this, so that sums of them are exact.
UNIT = 2**-30


@st.composite
def tables(draw, unit=1):
    sizes = {
        role: draw(st.lists(st.integers(1, 3), min_size=1, max_size=4), label=role)
        for role in ("forget", "control")
    }
    # Few different counts make ties and plateaus; nothing makes the accuracies fall steadily.
    rows = st.fixed_dictionaries(
        {
            role: st.one_of(st.just(found), st.tuples(*(answers(n, unit) for n in found)).map(list))
            for role, found in sizes.items()
        }
    )
    base = draw(rows)
    vectors = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    grid = GRID[: draw(st.integers(1, len(GRID)))]
    beside = [round(c / 80, 10) for c in range(1, int(80 * grid[-1]) + 1)]
    table = {v: {0.0: base} | {c: draw(rows) for c in beside} for v in vectors}
    return Table(sizes, table, grid)


def answers(n, unit):
    """How right n answers are together."""
    steps = round(1 / unit)
    return st.integers(max(0, n - 2) * steps, n * steps).map(lambda count: count * unit)


@settings(max_examples=400)
@given(
    st.one_of(tables(), tables(UNIT)),
    st.sampled_from([0.0, 0.5, 0.9, 0.95, 1.0]),
    st.integers(0, 2),
)
def test_the_choice_is_that_of_full_sweeps_and_takes_no_more_passes(table, keep, halvings):
    found = search(list(table.rows), table.grid, table.sizes, table.count, keep, halvings)
    choice, points = table.chosen(keep, halvings)
    assert found.choices == [choice]
    assert len(table.asked) == len(set(table.asked))
    assert found.passes == table.images() <= found.passes_full
    assert found.passes_full == len(points) * sum(map(sum, table.sizes.values()))


def line(forget, control):
    """Rows of one batch for each coefficient of the grid."""
    pairs = zip(GRID, forget, control, strict=True)
    return {c: {"forget": [f], "control": [k]} for c, f, k in pairs}


SIZES = {"forget": [10], "control": [100]}


def run(rows, sizes=SIZES, keep=0.95):
    table = Table(sizes, rows)
    return search(list(rows), GRID, sizes, table.count, keep).choices[0], table


def test_equality_with_the_limit_passes():
    # 57 of 100 is 0.95 x 60 of 100 exactly; in floating point 0.95 * 0.6 is 0.57 too.
    choice, _ = run({"m": line([9, 8, 7, 6, 5], [60, 60, 60, 57, 56])})
    assert choice == Choice("m", 0.15, 60.0, 100 * (57 / 100), 60.0, tried=4)


def test_equal_forgetting_goes_to_the_smaller_coefficient_and_then_to_the_first_name():
    rows = {
        "c": line([9, 9, 5, 5, 5], [60] * 5),
        "b": line([9, 5, 5, 9, 9], [60] * 5),
        "a": line([9, 5, 9, 9, 9], [60] * 5),
    }
    assert run(rows)[0].vector == "a"
    assert run({"a": rows["c"], "b": rows["b"]})[0].vector == "b"
    assert run({"c": rows["c"]})[0].coefficient == 0.1


def test_a_base_that_is_always_right_may_stay_and_is_not_marked():
    choice, _ = run({"b": line([10] * 5, [60] * 5), "a": line([10] * 5, [60] * 5)})
    assert choice == Choice("a", 0.0, 100.0, 60.0, 60.0, tried=8)


def test_a_choice_at_the_end_is_marked():
    assert run({"m": line([9, 8, 7, 6, 5], [60] * 5)})[0].upper_end


def test_what_cannot_be_chosen_is_not_counted_to_its_end():
    sizes = {"forget": [5, 5], "control": [50, 50]}
    base = {"forget": [5, 5], "control": [30, 30]}
    good = {"forget": [1, 1], "control": [30, 30]}
    broken = {"forget": [0, 0], "control": [0, 30]}
    weak = {"forget": [5, 4], "control": [30, 30]}
    rows = dict(zip(GRID, [base, weak, weak, good, broken], strict=True))
    choice, table = run({"m": rows}, sizes)
    assert choice.coefficient == 0.15
    asked = [place for _, *place in table.asked if place[0] not in (0.0, 0.15)]
    assert [0.2, "control", 1] not in asked
    assert [place for place in asked if place[0] != 0.2] == [
        [0.1, "forget", 0],
        [0.05, "forget", 0],
    ]


def test_vectors_share_the_bound():
    sizes = {"forget": [5, 5], "control": [50, 50]}
    rows = {
        name: {c: {"forget": [f, f] if c else [5, 5], "control": [30, 30]} for c in GRID}
        for name, f in (("a", 1), ("b", 4))
    }
    _, table = run(rows, sizes)
    asked = [one for one in table.asked if one[0] == "b"]
    assert asked == [("b", c, "forget", 0) for c in reversed(GRID[1:])]
