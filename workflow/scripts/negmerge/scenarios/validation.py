"""The validation items of a scenario, on which models are measured to choose among them."""

from collections.abc import Iterable

from negmerge.checkpoints.states import read_state
from negmerge.errors import UserError
from negmerge.scenarios.scenario import Scenario
from negmerge.selection.validation import Validation


def load_validation(
    scenario: Scenario,
    base: str,
    loaders: int = 0,
    *,
    batch_size: int,
    most: int | None,
    re_estimates: bool,
    roles: Iterable[str] | None = None,
    seed: int = 0,
) -> Validation:
    """Read the base and the items that choose a coefficient."""
    state = read_state(base)
    network = scenario.network(state, base)
    sets = {}
    for name in roles or scenario.roles[:2]:
        role = scenario.role(name, "select", most)
        if not len(role.items):
            raise UserError(f"too few {name} images to choose a coefficient with")
        sets[name] = role.objective, role.batches(batch_size, loaders)
    return Validation(
        network,
        state,
        sets,
        (lambda moved: scenario.settle(moved, batch_size, most)) if re_estimates else None,
        lambda found: scenario.selection_metrics(found, seed),
    )
