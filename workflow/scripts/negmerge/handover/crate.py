"""The description of a packed study: an RO-Crate of the profile Provenance Run Crate.

https://w3id.org/ro/wfrun/provenance/0.5: the workflow and its rules, each job with what it read and
made, and when. Files that are not packed are named with their SHA-256.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from rocrate.model import ContextEntity, Entity
from rocrate.rocrate import ROCrate

from negmerge.files import read_json
from negmerge.handover.contents import Item
from negmerge.handover.layout import CONFIG, RESULTS, WORKFLOW, About, Packed

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
VERSION = "1.1"
SHA256 = "https://w3id.org/ro/terms/workflow-run#sha256"
SHOWN = ("tables/", "figures/", "report.html")
# Of files by their suffixes; others are text.
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".safetensors": "application/octet-stream",
    ".tsv": "text/tab-separated-values",
    ".yaml": "application/yaml",
}
NO_LICENCE = "Not stated by who packed it."


def describe_run(
    title: str,
    about: About,
    packed: Sequence[Packed],
    items: Sequence[Item],
    licence: str | None,
) -> str:
    """Describe a run in JSON-LD.

    Args:
        title: what the study is about.
        about: for what the archive is.
        packed: its files.
        items: all that belongs to the study, packed or not, with records.
        licence: the terms of use; None: not stated.
    """
    run = _Run(about)
    run.crate.name, run.crate.description = f"Study {about.study}", title
    run.crate.license = licence or NO_LICENCE
    for one in packed:
        run.add_file(one)
    for item in items:
        if item.made and not item.is_packed:
            run.absent(item.place, item.made.sha256)
    places = {str(item.path): item.place for item in items}
    made = [read_json(item.made.path) for item in items if item.made]
    jobs = {tuple(sorted(content["outputs"])): content for content in made}
    run.describe(sorted(jobs.values(), key=lambda job: (job["started"], job["rule"])), places)
    return json.dumps(run.crate.metadata.generate(), indent=1)


def _plain(entities: list[Entity]) -> Entity | list[Entity]:
    """Return several entities, or the only one, as the format asks."""
    return entities[0] if len(entities) == 1 else entities


class _Run:
    """A crate under construction."""

    def __init__(self, about: About):
        self.crate = ROCrate(version=VERSION)
        self._about = about
        self._known: dict[str, Entity] = {}
        self.crate.metadata.extra_terms["sha256"] = SHA256
        self.crate.root_dataset["conformsTo"] = [
            self._entity(uri, "CreativeWork", name=name, version=version)
            for uri, (name, version) in PROFILES.items()
        ]

    def add_file(self, packed: Packed) -> None:
        """Add a file of the archive."""
        facts = {"sha256": packed.sha256, "contentSize": str(packed.bytes), "name": packed.place}
        facts["encodingFormat"] = FORMATS.get(PurePosixPath(packed.place).suffix, "text/plain")
        if packed.place == WORKFLOW:
            types = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
            facts |= {"@type": types, "version": self._about.commit or self._about.code}
            added = self.crate.add_workflow(
                None, WORKFLOW, main=True, lang="snakemake", properties=facts
            )
        else:
            added = self.crate.add_file(dest_path=packed.place, properties=facts)
        self._known[packed.place] = added

    def absent(self, place: str, sha256: str | None) -> Entity:
        """Return a file that is not packed."""
        facts = {"sha256": sha256} if sha256 else {}
        return self._entity(f"#{place}", "CreativeWork", name=place, **facts)

    def describe(self, jobs: Iterable[Mapping], places: Mapping[str, str]) -> None:
        """Add the jobs, their rules, and the run as a whole."""
        workflow = self.crate.mainEntity
        rules: dict[str, Entity] = {}
        steps, controls = [], []
        for number, job in enumerate(jobs):
            name = job["rule"]
            if name not in rules:
                rules[name] = self._entity(f"#rule-{name}", "SoftwareApplication", name=name)
                step = self._entity(
                    f"#step-{name}", "HowToStep", name=name, position=str(len(rules))
                )
                step["workExample"] = rules[name]
                steps.append(step)
            action = self._job(number, job, rules[name], places)
            control = self._entity(f"#control-{number}", "ControlAction", name=action["name"])
            control["instrument"] = steps[list(rules).index(name)]
            control["object"] = action
            controls.append(control)
        workflow["hasPart"], workflow["step"] = _plain(list(rules.values())), _plain(steps)
        whole = self._entity("#run", "CreateAction", name=f"Run of study {self._about.study}")
        whole["instrument"] = workflow
        files = self._known.items()
        read = [one for place, one in files if place.startswith(f"{CONFIG}/")]
        shown = tuple(f"{RESULTS}/{self._about.study}/{what}" for what in SHOWN)
        made = [one for place, one in files if place.startswith(shown)]
        whole["object"], whole["result"] = _plain(read), _plain(made)
        self.crate.root_dataset["mentions"] = whole
        engine = self._entity("#snakemake", "SoftwareApplication", name="Snakemake")
        organised = self._entity("#organisation", "OrganizeAction", name="Snakemake's run")
        organised["instrument"], organised["result"] = engine, whole
        organised["object"] = _plain(controls)

    def _job(self, number: int, job: Mapping, rule: Entity, places: Mapping[str, str]) -> Entity:
        """Add a job with what it read and made."""
        began = datetime.fromisoformat(job["started"])
        name = ", ".join((job["rule"], *map(str, job["wildcards"].values())))
        action = self._entity(f"#job-{number}", "CreateAction", name=name)
        action["instrument"] = rule
        action["startTime"] = began.isoformat(timespec="seconds")
        ended = began + timedelta(seconds=job["seconds"])
        action["endTime"] = ended.isoformat(timespec="seconds")
        for key, files in (("object", job["inputs"]), ("result", job["outputs"])):
            action[key] = _plain([self._file(name, one, places) for name, one in files.items()])
        return action

    def _file(self, name: str, facts: Mapping, places: Mapping[str, str]) -> Entity:
        place = places.get(name, name)
        return self._known.get(place) or self.absent(place, facts["sha256"])

    def _entity(self, place: str, kind: str, **facts: object) -> Entity:
        """Add what is no file of the archive, once."""
        if place not in self._known:
            entity = ContextEntity(self.crate, place, properties={"@type": kind, **facts})
            self._known[place] = self.crate.add(entity)
        return self._known[place]
