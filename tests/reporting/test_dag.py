import re
from xml.etree import ElementTree

import pytest

from negmerge.errors import UserError
from negmerge.reporting.dag import layers, parse_rulegraph, svg


def test_rules_and_edges(rulegraph):
    graph = parse_rulegraph(rulegraph)
    assert set(graph) == {"all", "report", "evaluate", "fine_tune", "prepare"}
    assert set(graph.edges) == {
        ("report", "all"),
        ("evaluate", "report"),
        ("fine_tune", "report"),
        ("prepare", "evaluate"),
        ("fine_tune", "evaluate"),
        ("prepare", "fine_tune"),
    }


@pytest.mark.parametrize(
    "text",
    ["", "digraph {}", "id0[a]\nid1[b]\nid0 --> id2\n"],
)
def test_what_is_no_rule_graph_is_an_error(text):
    with pytest.raises(UserError, match="rule graph: "):
        parse_rulegraph(text)


def test_of_rules_that_form_cycles_the_edge_that_closes_most_is_left_out():
    # Merges are swept or searched to choose, and one merge waits for a choice.
    edges = ("vector", "merge"), ("merge", "sweep"), ("merge", "search"), ("sweep", "select")
    edges += ("search", "select"), ("select", "merge"), ("select", "report")
    names = sorted({name for edge in edges for name in edge})
    lines = [f"id{number}[{name}]" for number, name in enumerate(names)]
    lines += [f"id{names.index(start)} --> id{names.index(end)}" for start, end in edges]
    graph = parse_rulegraph("\n".join(lines))
    assert set(graph.edges) == {*edges} - {("select", "merge")}
    assert svg(graph, {})


def test_every_edge_goes_one_layer_on(rulegraph):
    routed, ordered = layers(parse_rulegraph(rulegraph))
    layer = {node: place for place, nodes in enumerate(ordered) for node in nodes}
    assert all(layer[end] - layer[start] == 1 for start, end in routed.edges)
    names = [[node for node in nodes if isinstance(node, str)] for nodes in ordered]
    assert names == [["prepare"], ["fine_tune"], ["evaluate"], ["report"], ["all"]]
    assert ("prepare", "evaluate", 1) in ordered[1]


def test_svg_is_well_formed_and_holds_rules_and_jobs(rulegraph):
    text = svg(parse_rulegraph(rulegraph), {"fine_tune": 12, "prepare": 1})
    drawing = ElementTree.fromstring(text)
    texts = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"prepare", "1 job", "fine_tune", "12 jobs", "all"} <= set(texts)
    assert len(re.findall("marker-end", text)) == 6


def test_svg_escapes_names():
    assert "&lt;x&gt;" in svg(parse_rulegraph("id0[<x>]\n"), {})
