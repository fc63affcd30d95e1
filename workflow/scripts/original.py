"""Take a classifier of others for the original."""

from negmerge.checkpoints.states import require_same_tensors, shapes, write_state
from negmerge.jobs.job import job
from negmerge.models.classifiers import build_classifier
from negmerge.scenarios.given import read_model, with_counters

with job(snakemake):
    params, place = snakemake.params, snakemake.params.place
    state, _ = read_model(place, params.model, params.key)
    model = build_classifier(params.model, params.classes)
    state = with_counters(state, model.state_dict())
    require_same_tensors(shapes(model.state_dict()), shapes(state), place)
    model.load_state_dict(state)
    write_state(snakemake.output.original, model.state_dict(), {"file": place})
