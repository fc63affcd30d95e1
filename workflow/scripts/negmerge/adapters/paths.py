"""Which module of a base an adapter means: by its path, or by a path that differs in its prefix.

The same module has several paths. `transformer.h.0.attn` of a language model is `h.0.attn` in a
file of its body alone, `vision_model.encoder.layers.0` is `encoder.layers.0` in transformers 5, and
parts of models that see and write change their order. So a path may gain or lose components, or
change their order, before its first number; what follows must agree, and only one module may fit.

transformers 5 renamed modules of vision models but keeps their old names in files, while PEFT
writes the names of the memory; `SPELLINGS` has both.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterable

from negmerge.errors import UserError

_ATTENTION = tuple(
    (rf"\.attention\.{letter}_proj$", rf".attention.{{0}}.{name}")
    for letter, name in (("q", "query"), ("k", "key"), ("v", "value"))
)
_OUTPUT = (r"\.attention\.o_proj$", ".attention.output.dense")
_MLP = ((r"\.mlp\.fc1$", ".intermediate.dense"), (r"\.mlp\.fc2$", ".output.dense"))


def _attention(inner: str) -> tuple[tuple[str, str], ...]:
    return (*((old, new.format(inner)) for old, new in _ATTENTION), _OUTPUT)


# By family: the first as they are, then ViT, its relatives with an encoder, DINOv2, Swin, GPT-NeoX.
SPELLINGS = (
    (),
    ((r"(^|\.)layers\.(?=\d)", r"\1encoder.layer."), *_attention("attention"), *_MLP),
    (*_attention("attention"), *_MLP),
    _attention("attention"),
    (*_attention("self"), *_MLP),
    ((r"^lm_head$", "embed_out"),),
)


def spelled(path: str, spelling: tuple[tuple[str, str], ...]) -> str:
    """Return a module's path in one of `SPELLINGS`."""
    for old, new in spelling:
        path = re.sub(old, new, path)
    return path


Head = tuple[str, ...]


def find_modules(
    paths: Iterable[str],
    modules: Collection[str],
    fits: Callable[[str, str], bool],
    where: str,
) -> dict[str, str]:
    """Find the module of the base that each path of an adapter means, if one fits."""
    groups: dict[Head, list[str]] = {}
    for path in sorted(paths):
        groups.setdefault(_head(path), []).append(path)
    heads: dict[str, set[Head]] = {}
    for module in modules:
        head = _head(module)
        if head:
            heads.setdefault(head[-1], set()).add(head)
    targets: dict[str, str] = {}
    moved: set[tuple[Head, Head]] = set()
    for head, members in groups.items():
        if any(path in modules for path in members):
            targets |= {path: path for path in members if path in modules}
        elif head:
            new = _new_head(head, members, heads.get(head[-1], set()), modules, fits, where)
            if new is not None:
                targets |= {path: _under(new, head, path) for path in members}
                moved.add(_prefixes(head, new))
    for path in groups.get((), []):
        if path not in targets:
            targets |= _outside_layers(path, modules, moved, fits, where)
    _require_one_each(targets, where)
    return targets


def missing(path: str, modules: Collection[str]) -> str:
    """Return the nearest modules of the base, for the end of an error message."""
    near = difflib.get_close_matches(path, list(modules), n=3, cutoff=0.4)
    return f"nearest: {', '.join(near)}" if near else "none is like it"


def _head(path: str) -> Head:
    """Return the components of a path before its first number; none if there is no number."""
    parts = path.split(".")
    for place, part in enumerate(parts):
        if part.isdigit():
            return tuple(parts[:place])
    return ()


def _under(new: Head, old: Head, path: str) -> str:
    return ".".join((*new, *path.split(".")[len(old) :]))


def _new_head(
    old: Head,
    paths: list[str],
    candidates: Collection[Head],
    modules: Collection[str],
    fits: Callable[[str, str], bool],
    where: str,
) -> Head | None:
    """Return the one head under which the base has all paths."""
    possible = [
        new
        for new in sorted(candidates)
        if _alike(old, new)
        and all(_under(new, old, path) in modules for path in paths)
        and all(fits(path, _under(new, old, path)) for path in paths)
    ]
    if len(possible) > 1:
        raise UserError(
            f"{where}: {paths[0]!r} could be any of "
            f"{', '.join(_under(new, old, paths[0]) for new in possible)} of the base"
        )
    return possible[0] if possible else None


def _alike(old: Head, new: Head) -> bool:
    """Whether one head has the other's components, in order, or both the same in another order."""
    shorter, longer = sorted((old, new), key=len)
    rest = iter(longer)
    return all(part in rest for part in shorter) or sorted(old) == sorted(new)


def _prefixes(old: Head, new: Head) -> tuple[Head, Head]:
    """Return what differs of two heads, without the components in which both end."""
    same = 0
    while same < min(len(old), len(new)) and old[-1 - same] == new[-1 - same]:
        same += 1
    return old[: len(old) - same], new[: len(new) - same]


def _outside_layers(
    path: str,
    modules: Collection[str],
    moved: Collection[tuple[Head, Head]],
    fits: Callable[[str, str], bool],
    where: str,
) -> dict[str, str]:
    """Find a module that is in no numbered layer, such as an embedding or a head."""
    possible = {
        module
        for module in modules
        if not _head(module) and (module.endswith(f".{path}") or path.endswith(f".{module}"))
    }
    for old, new in moved:
        parts = tuple(path.split("."))
        if parts[: len(old)] == old:
            possible |= {".".join((*new, *parts[len(old) :]))} & set(modules)
    possible = {module for module in possible if fits(path, module)}
    if len(possible) > 1:
        raise UserError(
            f"{where}: {path!r} could be any of {', '.join(sorted(possible))} of the base"
        )
    return dict.fromkeys([path], *possible) if possible else {}


def _require_one_each(targets: dict[str, str], where: str) -> None:
    taken: dict[str, str] = {}
    for path, module in targets.items():
        if module in taken:
            raise UserError(
                f"{where}: {taken[module]!r} and {path!r} both fit {module!r} of the base"
            )
        taken[module] = path
