"""What an experiment knows of each method that it uses: its points, candidates and options."""

import fnmatch

from negmerge.errors import UserError, find, unknown
from negmerge.settings import methods
from negmerge.settings.checks import Value, require
from negmerge.settings.methods import Drawn, Use


class Uses:
    """The part of an `Experiment` that answers questions about one of its `methods`."""

    def use(self, method: str) -> Use:
        """Return the use of a method, also by the name of one of its vectors."""
        return find("method", method.split(".")[0], self.methods)

    def merge_options(self, vector: str) -> dict[str, Value]:
        """Return the options by which a merged vector is made."""
        method = vector.split(".")[0]
        return find("vector", vector, methods.merged(method, self.use(method)))

    def searched_options(self, method: str) -> dict[str, dict[str, Value]]:
        """Return the options that a merge searches, by the names of its vectors."""
        use = self.use(method)
        if methods.kind(method) != "merge":
            return {}
        named = methods.merged(method, use)
        return {name: {key: options[key] for key in use.grid} for name, options in named.items()}

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
        chosen = self.use(method).points
        if isinstance(chosen, Drawn):
            return chosen.of(list(self.pool.changes))
        patterns = chosen or ["*"]
        return [
            point
            for point in self.pool.changes
            if any(fnmatch.fnmatchcase(point, pattern) for pattern in patterns)
        ]

    def retain_point(self, method: str) -> str | None:
        """The point of what a method adds: a sample to retain, by the first recipe of `along`."""
        use = self.use(method)
        is_added = methods.base_name(method) == methods.MSA
        return methods.RETAIN_OF + self.points(use.along)[0] if is_added else None

    def single(self, method: str) -> str | None:
        """The use of task-arithmetic that chooses the vector that a method masks, or is itself."""
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
        """What a method chooses among: points, merged vectors, or what its job has trained."""
        self.use(method)
        kind = methods.kind(method)
        if kind == "base":
            return []
        if kind == "merge":
            return list(self.searched_options(method))
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
        """Whether a search takes the place of sweeps, which `gap` and `unlabelled` need."""
        search = self.use(method).search or self.selection.search
        is_asked = search == "exact-pruned" and methods.kind(method) in methods.CHOSEN
        return is_asked and not self.selection.reads_test_images

    def _check_methods(self) -> None:
        foreign = set(methods.BASES) - {self.SCENARIO.base}
        valid = [
            name
            for name, kind in methods.known().items()
            if kind in self.SCENARIO.kinds and name not in foreign
        ]
        for name, use in self.methods.items():
            if not methods.is_known(name) or methods.base_name(name) not in valid:
                serving = [method for method in valid if methods.serves(method, self.scenario)]
                raise UserError(f"{self.scenario}: {unknown('method', name, serving)}")
            methods.check(name, use)
            patterns = () if isinstance(use.points, Drawn) else use.points
            vain = [one for one in patterns if not fnmatch.filter(self.pool.changes, one)]
            require(f"methods.{name}.points", "point", vain, self.pool.changes)
            if use.along not in (None, methods.POOL):
                vectors = [n for n in self.methods if methods.kind(n) in methods.CHOSEN]
                require(f"methods.{name}.along", "method", [use.along], vectors)
            self.points(name)
            self.single(name)
