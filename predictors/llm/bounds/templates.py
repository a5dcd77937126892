"""What rendering a request's chat template may cost: the budget by which the judge renders it, for each request.

A template runs in the process that has all requests, and one that the judge's conversations did not lead into its loops
would run there until vLLM's timeout, and on in its thread.
"""

from functools import lru_cache
from types import ModuleType
from typing import Any

from switchyard.chat_rendering import BoundedTemplate

_TEMPLATES = 16  # compiled ones to keep; a model has one or two


def bound_templates(renderer: ModuleType) -> None:
    """Let ``transformers.utils.chat_template_utils``, by which vLLM renders, compile templates that end.

    One that takes too much raises a TemplateError, for which vLLM responds 400.
    """
    renderer._compile_jinja_template = lru_cache(_TEMPLATES)(_Template)  # type: ignore[attr-defined]


class _Template:
    """As jinja2's Template, as far as it is used there."""

    def __init__(self, template: str) -> None:
        self._bounded = BoundedTemplate(template)
        self.environment = self._bounded.environment

    def render(self, **values: Any) -> str:
        return self._bounded.render(values)
