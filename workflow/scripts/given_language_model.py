"""Take a language model of others: its weights, and of the original the tokenizer, too."""

from negmerge.checkpoints.states import write_state
from negmerge.files import read_json, write_json, write_text
from negmerge.jobs.job import job
from negmerge.models.language import ORIGIN
from negmerge.models.weights import described, weights_file
from negmerge.scenarios.language.given import (
    read_configuration,
    read_language_model,
    read_own_tokenizer,
)

with job(snakemake):
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    place = params.place or weights_file(inputs.weights)
    if outputs.get("configuration"):
        configuration = read_configuration(place)
        if not params.place:
            configuration[ORIGIN] = described(read_json(inputs.weights))
            print(f"weights: {configuration[ORIGIN]}")
        tokenizer = read_own_tokenizer(place, configuration["vocab_size"])
        write_json(outputs.configuration, configuration)
        write_text(outputs.tokenizer, tokenizer.to_str(pretty=True))
    else:
        configuration = read_json(inputs.configuration)
    state = read_language_model(place, configuration, params.key)
    write_state(outputs.weights, state, {"file": str(place)})
