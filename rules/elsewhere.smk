# Look-ups of what comes from elsewhere: data sets, downloads, weights, and models that others made.
from negmerge.settings.datasets import choose, differences, use_server
from negmerge.settings.pool import Inputs

of_others = Inputs()
checked(use_server)(config.get("hub_endpoint"))


@cache
@checked
def mirror_of(name):
    """Return the mirror from which a data set is prepared; None for the original source."""
    find("data set", name, catalogue().datasets)
    return choose(name, catalogue().datasets, config["data"], config.get("data_sources"))


def own_place(row, file):
    """Return a file or folder of the user's; where a list names its images, its time stamp does not count."""
    place = provided(file)
    return ancient(place) if row.listed and Path(place).is_dir() else place


def files_of(name):
    """Return the files of a data set. Downloads have checksums, so their time stamps do not count."""
    chosen = find("data set", name, catalogue().datasets)
    downloads = f"{config['data']}/downloads/{chosen.downloads_of or name}"
    return [
        own_place(chosen, file) if isinstance(file, str) else ancient(f"{downloads}/{file.name}")
        for file in (mirror_of(name) or chosen).files.values()
    ]


@checked
def listed_files(wildcards):
    """Return the files that name the user's own images, where the images to forget are given by name."""
    row = catalogue().datasets[experiment(wildcards).dataset]
    is_named = row.listed and experiment(wildcards).forget.file
    names = [name for name in ("images", "list") if name in row.files] if is_named else []
    return [own_place(row, row.files[name]) for name in names]


def weights_of(name):
    """Return the record of fetched weights. It holds their checksum, so its time stamp does not count."""
    fetched = catalogue().fetched(name).is_fetched
    return ancient(f"{config['data']}/weights/{name}") if fetched else []


def downloaded_weights(name):
    """Return the file that a model's row downloads; its checksum is known, so its time does not count."""
    file = catalogue().models[name].download
    return ancient(f"{config['data']}/downloads/{name}/{file.name}") if file else []


weights_record = of_experiment(lambda one, _: weights_of(one.model))
# The records of language models that come from the hub, where the study gives no path.
weights_of_original = of_experiment(lambda one, _: [] if one.base else weights_of(one.model))
weights_of_retrain = of_experiment(
    lambda one, wildcards: (
        [] if one.given_retrain(wildcards.task) else weights_of(f"{one.model}.{wildcards.task}")
    )
)


def all_downloads(wildcards):
    """Return all downloads and weights that the study in config.yaml needs from the internet."""
    chosen = read_study(config["study"])
    files = [file for name in chosen.datasets for file in files_of(name)]
    models = {name for one in chosen.experiments.values() for name in one.weights(catalogue())}
    records = [record for name in sorted(models) if (record := weights_of(name))]
    return files + records + [file for name in sorted(models) if (file := downloaded_weights(name))]


@checked
def dataset(wildcards):
    return find("data set", wildcards.dataset, catalogue().datasets)


@checked
def download_of(wildcards):
    file = find("file", wildcards.file, catalogue().downloads(wildcards.dataset)).facts()
    if wildcards.dataset not in catalogue().datasets:
        return file
    row = dataset(wildcards)
    others = [f"{wildcards.dataset}: {name}" for name in row.sources_without(wildcards.file)]
    return file | ({"instead": others} if others else {})


@checked
def source(wildcards):
    """Return the kind of source that reads a data set."""
    return (mirror_of(wildcards.dataset) or dataset(wildcards)).source


def described(study, table):
    """Return the definition of a table, with each column's scenario and how mirrors differ from originals."""
    scenarios = {name: one.scenario for name, one in study.experiments.items()}
    definition = table.model_dump(mode="json")
    for column in definition["columns"]:
        column["scenario"] = scenarios[column["experiments"][0]]
    mirrors = {name: mirror_of(name) for name in study.datasets_of(table)}
    unlike = differences(catalogue().datasets, mirrors)
    unlike += study.cautions(name for column in table.columns for name in column.experiments)
    return definition | ({"differs": unlike} if unlike else {})


@checked
def shown_table(wildcards):
    return described(study(wildcards), shown("table")(wildcards))


@checked
def reported_study(wildcards):
    """Return a study with the definitions of all its tables."""
    chosen = study(wildcards)
    tables = {name: described(chosen, table) for name, table in chosen.tables.items()}
    return chosen.model_dump(mode="json") | {"tables": tables}


@checked
def by_hand_of(wildcards):
    """Return all files that a person has to fetch by hand, so that one message names them all."""
    is_manual = find("file", wildcards.file, catalogue().downloads(wildcards.dataset)).manual
    return catalogue().by_hand(wildcards.dataset) if is_manual else []
