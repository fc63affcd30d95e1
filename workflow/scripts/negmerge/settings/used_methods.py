"""The methods of an experiment: what each chooses among, and whether they are used rightly."""

import fnmatch

from negmerge.errors import UserError, find, unknown
from negmerge.settings import methods
from negmerge.settings.experiment_keys import ExperimentKeys
from negmerge.settings.methods import Use


class UsedMethods(ExperimentKeys):
    """An experiment as the list of its methods."""

    def use(self, method: str) -> Use:
        """How a method is used."""
        return find("method", method, self.methods)

    def about(self, method: str) -> dict[str, object]:
        """What records say of a method, whatever is chosen for it."""
        return self.about_choice(method) | {"models": len(self.points(method))}

    def about_choice(self, method: str) -> dict[str, object]:
        """The part of `about` without the pool, which says nothing of a method that trains."""
        return {
            "kind": methods.kind(method),
            "searched": self.is_searched(method),
            "keep": self.selection.keep,
        }

    def points(self, method: str) -> list[str]:
        """The points whose vectors a method merges, or chooses from, sorted by name."""
        patterns = self.use(method).points or ["*"]
        return [
            point
            for point in self.pool.changes
            if any(fnmatch.fnmatchcase(point, pattern) for pattern in patterns)
        ]

    def single(self, method: str) -> str | None:
        """The use of task-arithmetic that chooses a method's single vector, if it has one.

        For task-arithmetic itself it is the method; for a merge that masks a single vector, the use
        of task-arithmetic that chooses among the points that are merged.
        """
        self.use(method)
        if methods.kind(method) == "single":
            return method
        if methods.base_name(method) != methods.MASKED:
            return None
        uses = [use for use in self.methods if methods.kind(use) == "single"]
        for use in uses:
            if self.points(use) == self.points(method):
                return use
        raise UserError(
            f"methods.{method}: it masks what {methods.SINGLE} chose of the same points, but no "
            f"{methods.SINGLE} chooses among {', '.join(self.points(method))}"
        )

    def candidates(self, method: str) -> list[str]:
        """What a method chooses among: points, its merged vector, or what its job has trained."""
        self.use(method)
        kind = methods.kind(method)
        if kind == "base":
            return []
        return self.points(method) if kind == "single" else [method]

    def data_used(self, method: str) -> str | None:
        """Which images a method itself reads; None if only its file says it."""
        self.use(method)
        by_kind = {"base": "-", "retrain": "retain", "unlearn": None}
        return by_kind.get(methods.kind(method), "forget")

    def is_searched(self, method: str) -> bool:
        """Whether there are several things to choose among: coefficients, vectors or options."""
        grid = self.use(method).grid
        return methods.kind(method) in methods.CHOSEN or bool(grid)

    def is_pruned(self, method: str) -> bool:
        """Whether a search takes the place of sweeps, which the rule `gap` needs all the same."""
        search = self.use(method).search or self.selection.search
        is_asked = search == "exact-pruned" and methods.kind(method) in methods.CHOSEN
        return is_asked and "gap" not in self.selection.rules

    def _check_methods(self) -> None:
        foreign = set(methods.BASES) - {self.UNCHANGED}
        known = methods.known().items()
        valid = [name for name, kind in known if kind in self.KINDS and name not in foreign]
        for name, use in self.methods.items():
            if not methods.is_known(name) or methods.base_name(name) not in valid:
                valid = [one for one in valid if methods.serves(one, self.scenario)]
                raise UserError(f"{self.scenario}: {unknown('method', name, valid)}")
            methods.check(name, use)
            for pattern in use.points:
                if not fnmatch.filter(self.pool.changes, pattern):
                    raise UserError(
                        f"methods.{name}.points: {unknown('point', pattern, self.pool.changes)}"
                    )
            for option in use.grid:
                if option in use.options:
                    raise UserError(
                        f"methods.{name}.grid: {option!r} has a value of its own too; expected one "
                        "of the two"
                    )
            if methods.base_name(name) == methods.MASKED and "single" in use.options:
                raise UserError(
                    f"methods.{name}: leave `single` out of a study; {methods.SINGLE} chooses it"
                )
        for name in self.methods:
            self.single(name)
