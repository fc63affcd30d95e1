"""Take a classifier of others for the original."""

from negmerge.checks import require_same_tensors
from negmerge.jobs.job import job
from negmerge.models.classifiers import build_classifier
from negmerge.scenarios.given import read_model
from negmerge.states import shapes, write_state

with job(snakemake):
    place, scenario = snakemake.params.place, snakemake.params.scenario
    state, _ = read_model(place, scenario["model"])
    model = build_classifier(scenario["model"], scenario["classes"])
    require_same_tensors(shapes(model.state_dict()), shapes(state), place)
    model.load_state_dict(state)
    write_state(snakemake.output.original, model.state_dict(), {"file": place})
