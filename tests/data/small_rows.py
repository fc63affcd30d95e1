"""The rows of real sets with the sizes of made ones."""

import hashlib


def small(row, made, server=None):
    """The row of a real set with the sizes of a made one, and addresses of the test's server."""
    files = {}
    for name, content in made.files.items():
        file = dict(row["files"][name])
        sums = {kind: hashlib.new(kind, content).hexdigest() for kind in ("sha256", "md5")}
        # What is not known of the real file is not known here either.
        file |= {kind: value for kind, value in sums.items() if file[kind]}
        file |= {"bytes": file["bytes"] and len(content), "manual": None}
        if server:
            server.files[file["name"]] = content
            file["urls"] = [server.url(file["name"])]
        files[name] = file
    assert files.keys() == row["files"].keys()
    splits = {split: len(made.expected[split]) for split in row["splits"]}
    options = row["options"] | made.options
    return row | {"files": files, "splits": splits, "classes": made.classes, "options": options}


def written(made, folder):
    """Write the files of a set."""
    paths = {name: str(folder / name) for name in made.files}
    for name, content in made.files.items():
        (folder / name).write_bytes(content)
    return paths
