# Look-ups of what comes from outside: downloads, weights, and models of others.
from negmerge.data.download import use_server
from negmerge.data.mirrors import choose, differences
from negmerge.settings.given import Inputs

of_others = Inputs()
checked(use_server)(config.get("hub_endpoint"))


@cache
@checked
def mirror_of(name):
    """The mirror from which a data set is made; None for the original."""
    find("data set", name, catalogue().datasets)
    return choose(name, catalogue(), config["data"], config.get("data_sources"))


def own_place(row, file):
    """A folder whose images are listed is what the list says; when it was touched is nothing."""
    place = provided(file)
    return ancient(place) if row.listed and Path(place).is_dir() else place


def files_of(name):
    """A download is what its checksum says: that it is newer than what was made of it is nothing."""
    chosen = find("data set", name, catalogue().datasets)
    folder = f"{config['data']}/downloads/{chosen.downloads_of or name}"
    return [
        own_place(chosen, file) if isinstance(file, str) else ancient(f"{folder}/{file.name}")
        for file in (mirror_of(name) or chosen).files.values()
    ]


@checked
def source_files(wildcards):
    return files_of(wildcards.dataset)


@checked
def listed_files(wildcards):
    """The files that name images of one's own, where the images to forget are given by name."""
    row = catalogue().datasets[experiment(wildcards).dataset]
    is_named = row.listed and experiment(wildcards).forget.file
    names = [name for name in ("images", "list") if name in row.files] if is_named else []
    return [own_place(row, row.files[name]) for name in names]


@checked
def split_options(wildcards):
    chosen = experiment(wildcards)
    return chosen.forget.options(chosen.dataset, catalogue())


def weights_of(name):
    """As with a download, the record of trained weights counts, and not when it was made."""
    fetched = catalogue().fetched(name).is_fetched
    return ancient(f"{config['data']}/weights/{name}") if fetched else []


@checked
def fetched_model(wildcards):
    return catalogue().fetched(wildcards.model).model_dump()


@checked
def weights_record(wildcards):
    return weights_of(experiment(wildcards).model)


@checked
def weights_of_original(wildcards):
    """The record of a language model on the hub, where the study names no path."""
    chosen = experiment(wildcards)
    return [] if chosen.base else weights_of(chosen.model)


@checked
def given_retrain(wildcards):
    return experiment(wildcards).given_retrain(wildcards.task)


@checked
def weights_of_retrain(wildcards):
    model = f"{experiment(wildcards).model}.{wildcards.task}"
    return [] if given_retrain(wildcards) else weights_of(model)


def all_downloads(wildcards):
    """What the study that the configuration names gets from elsewhere: files, and weights."""
    chosen = read_study(config["study"])
    files = [file for name in chosen.datasets for file in files_of(name)]
    models = sorted(
        {name for one in chosen.experiments.values() for name in one.weights(catalogue())}
    )
    return files + [record for name in models if (record := weights_of(name))]


@checked
def dataset(wildcards):
    return find("data set", wildcards.dataset, catalogue().datasets)


@checked
def download_of(wildcards):
    row = dataset(wildcards)
    file = find("file", wildcards.file, row.all_downloads).facts()
    others = [f"{wildcards.dataset}: {name}" for name in row.sources_without(wildcards.file)]
    return file | ({"instead": others} if others else {})


@checked
def source(wildcards):
    """The kind of source that reads a data set."""
    return (mirror_of(wildcards.dataset) or dataset(wildcards)).source


@checked
def contents(wildcards):
    return catalogue().contents(wildcards.dataset, mirror_of(wildcards.dataset))


def mirrored(study, table):
    """What a table says of images from mirrors; nothing where they are the originals'."""
    found = differences({name: mirror_of(name) for name in study.datasets_of(table)})
    return {"differs": found} if found else {}


@checked
def shown_table(wildcards):
    """The definition of a table."""
    table = shown("table")(wildcards)
    return table.model_dump() | mirrored(study(wildcards), table)


@checked
def reported_study(wildcards):
    """A study with the definitions of all its tables."""
    chosen = study(wildcards)
    found = chosen.model_dump(mode="json")
    for name, table in chosen.tables.items():
        found["tables"][name] |= mirrored(chosen, table)
    return found


@checked
def by_hand_of(wildcards):
    """All that a person has to fetch with a file, so that one message names everything."""
    is_manual = find("file", wildcards.file, dataset(wildcards).all_downloads).manual
    return catalogue().by_hand(wildcards.dataset) if is_manual else []


@checked
def given_model(wildcards):
    return experiment(wildcards).given_model(wildcards.task, wildcards.point)


@checked
def given_base(wildcards):
    return experiment(wildcards).given_base
