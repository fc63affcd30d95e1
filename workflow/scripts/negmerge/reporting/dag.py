"""The picture of a workflow: its rules in layers, from the data on the left to the report."""

import re
from collections import Counter
from collections.abc import Mapping
from html import escape
from itertools import pairwise

import networkx as nx

from negmerge.errors import UserError

_NODE = re.compile(r"^\s*(\w+)\[(.*)\]\s*$")
_EDGE = re.compile(r"^\s*(\w+)\s*-->\s*(\w+)\s*$")

# Lengths in units of the picture, about pixels on a wide screen.
HEIGHT, LETTER, PADDING = 40, 7.2, 24
GAP_ACROSS, GAP_DOWN, MARGIN = 44, 16, 10
# An edge that passes a layer needs less room than a rule.
LANE = 10
SWEEPS = 8


def parse_rulegraph(text: str) -> nx.DiGraph:
    """Read what `snakemake --rulegraph mermaid-js` prints.

    Returns:
        A graph of rule names without cycles, with an edge from each rule to those that use its
        output. Jobs form no cycle, but their rules may, as one merge masks the vector that a choice
        among others names: edges that go back are left out.

    Raises:
        UserError: there is no rule in the text, or an edge to an unknown rule.
    """
    names: dict[str, str] = {}
    edges = []
    for line in text.splitlines():
        if node := _NODE.match(line):
            names[node[1]] = node[2].strip('"')
        elif edge := _EDGE.match(line):
            edges.append(edge.groups())
    unknown = {end for edge in edges for end in edge} - names.keys()
    if not names or unknown:
        found = f"unknown nodes {sorted(unknown)}" if unknown else "no rules"
        raise UserError(f"rule graph: {found}; expected `snakemake --rulegraph mermaid-js`")
    graph = nx.DiGraph()
    graph.add_nodes_from(names.values())
    graph.add_edges_from((names[start], names[end]) for start, end in edges)
    while cycles := list(nx.simple_cycles(graph)):
        # The edge that closes most of them.
        closing = Counter(edge for cycle in cycles for edge in pairwise([*cycle, cycle[0]]))
        graph.remove_edge(*max(sorted(closing), key=closing.__getitem__))
    return graph


def layers(graph: nx.DiGraph) -> tuple[nx.DiGraph, list[list]]:
    """Put rules into layers, such that every edge goes to the next layer.

    Where an edge would pass a layer, it goes through a node (start, end, layer) of its own.
    Within a layer, nodes stand near the mean place of their neighbours, so that few edges cross.

    Returns:
        The graph with these nodes, and its nodes by layer, from top to bottom.
    """
    depth = {}
    for layer, rules in enumerate(nx.topological_generations(graph)):
        depth |= dict.fromkeys(rules, layer)
    # A rule without inputs stands just before its first user, not at the far left.
    for rule in [rule for rule in graph if not graph.in_degree(rule) and graph.out_degree(rule)]:
        depth[rule] = min(depth[user] for user in graph.successors(rule)) - 1
    routed = nx.DiGraph()
    routed.add_nodes_from(graph)
    for start, end in graph.edges:
        lane = [(start, end, layer) for layer in range(depth[start] + 1, depth[end])]
        depth |= {node: node[2] for node in lane}
        nx.add_path(routed, [start, *lane, end])
    ordered = [[node for node in routed if depth[node] == layer] for layer in range(_count(depth))]
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for before, layer in pairwise(ordered if forward else ordered[::-1]):
            place = {node: (index + 0.5) / len(before) for index, node in enumerate(before)}
            neighbours = routed.predecessors if forward else routed.successors
            means = {node: _mean([place[other] for other in neighbours(node)]) for node in layer}
            layer.sort(key=means.__getitem__)
    return routed, ordered


def _count(depth: Mapping) -> int:
    return max(depth.values()) + 1


def _mean(places: list[float]) -> float:
    return sum(places) / len(places) if places else 0.5


def svg(graph: nx.DiGraph, jobs: Mapping[str, int]) -> str:
    """Draw the rules as SVG.

    Args:
        graph: from `parse_rulegraph`.
        jobs: number of jobs by rule, written under the names; rules may be missing.
    """
    routed, ordered = layers(graph)
    boxes, width, height = _boxes(ordered)
    paths = [_path([boxes[node] for node in _lane(routed, edge)]) for edge in graph.edges]
    rules = [_rule(rule, boxes[rule], jobs.get(rule)) for rule in graph]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" role="img" aria-label="Rules of the workflow" '
            'font-family="system-ui, sans-serif" font-size="12">',
            '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" '
            'markerHeight="6" orient="auto"><path d="M0 0 6 3 0 6z" fill="#7d8793"/></marker>'
            "</defs>",
            *paths,
            *rules,
            "</svg>\n",
        ]
    )


def _lane(routed: nx.DiGraph, edge: tuple[str, str]) -> list:
    """List the nodes that an edge goes through."""
    start, end = edge
    passed = [node for node in routed if isinstance(node, tuple) and node[:2] == edge]
    return [start, *sorted(passed, key=lambda node: node[2]), end]


def _boxes(ordered: list[list]) -> tuple[dict, float, float]:
    """Give each node its left, top, width and height, and the size of the picture."""
    sizes = [[_size(node) for node in layer] for layer in ordered]
    heights = [sum(h for _, h in layer) + GAP_DOWN * (len(layer) - 1) for layer in sizes]
    boxes, left = {}, MARGIN
    for layer, layer_sizes, layer_height in zip(ordered, sizes, heights, strict=True):
        layer_width = max(w for w, _ in layer_sizes)
        top = MARGIN + (max(heights) - layer_height) / 2
        for node, (own_width, own_height) in zip(layer, layer_sizes, strict=True):
            # A rule is as wide as its name; a lane crosses the whole layer.
            own_width = own_width or layer_width
            boxes[node] = (left + (layer_width - own_width) / 2, top, own_width, own_height)
            top += own_height + GAP_DOWN
        left += layer_width + GAP_ACROSS
    return boxes, left - GAP_ACROSS + MARGIN, max(heights) + 2 * MARGIN


def _size(node: str | tuple) -> tuple[float, float]:
    return (0, LANE) if isinstance(node, tuple) else (LETTER * len(node) + PADDING, HEIGHT)


def _path(boxes: list[tuple]) -> str:
    """Draw an edge from the right of its first box to the left of its last, through the lanes."""
    parts = []
    for (left, top, width, height), (left_2, top_2, _, height_2) in pairwise(boxes):
        x, y, x_2, y_2 = left + width, top + height / 2, left_2, top_2 + height_2 / 2
        middle = (x + x_2) / 2
        parts.append(f"{'L' if parts else 'M'}{x:.1f} {y:.1f}")
        parts.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {y_2:.1f} {x_2:.1f} {y_2:.1f}")
    return (
        f'<path d="{"".join(parts)}" fill="none" stroke="#a9b3bf" stroke-width="1.3" '
        'marker-end="url(#tip)"/>'
    )


def _rule(rule: str, box: tuple[float, float, float, float], jobs: int | None) -> str:
    """Draw the box of a rule."""
    left, top, width, height = box
    centre, middle = left + width / 2, top + height / 2
    lines = [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height}" rx="6" '
        'fill="#eaf2f9" stroke="#0072B2"/>',
        f'<text x="{centre:.1f}" y="{middle + (-3 if jobs else 4):.1f}" text-anchor="middle" '
        f'font-weight="600" fill="#16202b">{escape(rule)}</text>',
    ]
    if jobs:
        count = f"{jobs} job" + "s" * (jobs != 1)
        lines.append(
            f'<text x="{centre:.1f}" y="{middle + 13:.1f}" text-anchor="middle" font-size="11" '
            f'fill="#51606f">{count}</text>'
        )
    return "\n".join(lines)
