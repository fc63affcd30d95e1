"""Measure the base on validation images at each coefficient of one vector, and near the best."""

from negmerge.evaluation.validation import load_validation
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.selection.choice import load_rules
from negmerge.selection.points import Point, write_points
from negmerge.selection.refinement import CoefficientGrid, explore
from negmerge.states import read_state

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    scenario = load_scenario(params.scenario, inputs, device)
    validation = load_validation(
        scenario,
        inputs.base,
        params.batch_size,
        device,
        roles=params.roles,
        loaders=loaders,
        **params.validation,
    )
    (path,) = inputs.vector
    vector = read_state(path)

    def measure(coefficient: float) -> Point:
        """Measure base - coefficient * vector."""
        validation.move(vector, coefficient, path)
        found = validation.measure()
        print(f"coefficient {coefficient}: {found}")
        return Point(snakemake.wildcards.vector, coefficient, found.accuracy, found.further)

    rules = load_rules(params.rules, params.keep, inputs.get("reference", []))
    grid = CoefficientGrid(params.coefficients)
    points = explore(measure(0.0), 0.0, grid, measure, rules, params.halvings)
    by_coefficient = sorted(points, key=lambda point: point.coefficient)
    write_points(snakemake.output.sweep, snakemake.wildcards, by_coefficient)
