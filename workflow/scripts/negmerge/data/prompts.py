"""Prompts: class names put into templates."""

from collections.abc import Sequence


def fill(templates: Sequence[str], class_name: str) -> list[str]:
    """Put a class name into each template, at its `{}`."""
    return [template.replace("{}", class_name) for template in templates]
