"""Measure the base on validation images at each coefficient of one vector, and near the best.

Or Retrain, once, for the rule that compares others with it.
"""

from negmerge.checkpoints.divergence import sift
from negmerge.checkpoints.states import read_state
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.scenarios.validation import load_validation
from negmerge.selection.choice import load_rules
from negmerge.selection.points import Point, write_points
from negmerge.selection.refinement import CoefficientGrid, explore

with job(snakemake):
    inputs, params, name = snakemake.input, snakemake.params, snakemake.wildcards.vector
    device, loaders = compute.prepare(snakemake)
    scenario = load_scenario(params.scenario, inputs, device)
    how = {"roles": params.roles, **params.validation}
    validation = load_validation(scenario, inputs.base, loaders, **how)
    (path,) = inputs.candidate
    state = read_state(path)

    def measure(coefficient: float) -> Point:
        """Measure base - coefficient * vector; there is nothing to measure if it diverged."""
        if coefficient and not state:
            return Point(name, coefficient, {})
        validation.move(vector, coefficient, path)
        point = validation.measure(name, coefficient)
        print(point)
        return point

    if not params.coefficients:
        points = [validation.measure(name, 1.0, scenario.network(state, path))]
    else:
        rules = load_rules(params.rules, params.keep, inputs.get("reference", []))
        grid, vector = CoefficientGrid(params.coefficients), validation.placed(state)
        points = explore(measure(0.0), 0.0, grid, measure, rules, params.halvings)
    by_coefficient = sorted(points, key=lambda point: point.coefficient)
    _, missing = sift([path])
    write_points(snakemake.output.sweep, snakemake.wildcards, by_coefficient, missing)
