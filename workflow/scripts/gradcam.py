"""Map which places of images to forget support a model's score of their class."""

import torch

from negmerge.checkpoints.divergence import is_nothing_left
from negmerge.checkpoints.states import read_state, write_state
from negmerge.data.augmentation import evaluation_transform
from negmerge.evaluation.gradcam import choose, gradcam
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_task
from negmerge.scenarios.unlearned import Unlearned, choices

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    task = load_task(params.scenario, inputs, device)
    role = task.role("forget", "score")
    batches, head = role.batches(params.batch_size, loaders), role.objective.head
    base = task.network(read_state(inputs.base), inputs.base)
    chosen = choose(base, head, batches, device)
    pictures, labels = zip(*(role.items[place] for place in chosen), strict=True)
    images = torch.stack([role.transform(picture) for picture in pictures]).to(device)
    targets = torch.tensor(labels, device=device)
    unlearned = Unlearned.of_job(task, snakemake)
    # With a place for each image, also where no method has a model.
    maps, probability = torch.empty(0, len(chosen), 1, 1), torch.empty(0, len(chosen))
    maps_of = {}
    place = {key: snakemake.wildcards[key] for key in ("experiment", "task")}
    for name, about in params.about.items():
        choice, *_ = choices(place | {"method": name}, about, inputs.get("selected", []))
        if not is_nothing_left(choice):
            maps_of[name] = gradcam(unlearned.network(choice), head, images, targets)
    # What a network sees, but for the normalisation.
    shown = evaluation_transform(images.shape[-1], (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    if maps_of:
        maps = torch.stack([one.maps for one in maps_of.values()])
        probability = torch.stack([one.probability for one in maps_of.values()])
    pixels = torch.stack([255 * shown(picture) for picture in pictures]).round().byte()
    state = {"images": pixels, "maps": maps, "probability": probability}
    layer = next((one.layer for one in maps_of.values()), None)
    origin = place | {"methods": list(maps_of), "layer": layer, "places": chosen}
    origin["classes"] = [params.classes[label] for label in labels]
    write_state(snakemake.output.maps, state, origin)
