"""The validator of RO-Crates without the internet; the one file that it asks for lies beside."""

import io
import urllib.request
from email.message import Message
from pathlib import Path
from urllib.response import addinfourl

import requests
from rocrate_validator import models, services

# https://w3id.org/ro/crate/1.1/context, version 1.1.3, without line breaks; CC0.
CONTEXT = Path(__file__).with_name("ro-crate-1.1-context.json")
ADDRESS = "https://w3id.org/ro/crate/1.1/context"
TYPE = "application/ld+json"


def answer(session, request, **_):
    """Answer a request of the package requests."""
    assert request.url == ADDRESS
    response = requests.Response()
    response.status_code, response.url = 200, request.url
    response._content, response.headers["Content-Type"] = CONTEXT.read_bytes(), TYPE
    return response


class Answers(urllib.request.HTTPSHandler):
    def https_open(self, request):
        assert request.full_url == ADDRESS
        headers = Message()
        headers["Content-Type"] = TYPE
        response = addinfourl(io.BytesIO(CONTEXT.read_bytes()), headers, ADDRESS, 200)
        response.msg = "OK"
        return response


def findings(crate, monkeypatch):
    """What of the profile's requirements a crate does not fulfil."""
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", answer)
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(Answers))
    settings = services.ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier="provenance-run-crate-0.5",
        requirement_severity=models.Severity.REQUIRED,
        no_cache=True,
    )
    return [str(issue.message) for issue in services.validate(settings).get_issues()]
