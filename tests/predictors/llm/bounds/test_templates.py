"""Chat templates are rendered for requests as transformers renders them, and none is rendered without end."""

from types import ModuleType
from typing import Any

import pytest
from jinja2 import TemplateError

from predictors.llm.bounds.templates import bound_templates

ENDLESS = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"


def compiled(template: str) -> Any:
    renderer: Any = ModuleType("chat_template_utils")
    bound_templates(renderer)
    return renderer._compile_jinja_template(template)


def chat(count: int, content: str = "Hello") -> dict[str, Any]:
    messages = [{"role": "user", "content": content} for _ in range(count)]
    return {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": True}


def test_a_loop_that_no_check_has_seen_ends() -> None:
    template = compiled("{% if messages | length == 7 %}" + ENDLESS + "{% endif %}{{ messages | length }}")
    assert template.render(**chat(6)) == "6"
    with pytest.raises(TemplateError, match="more than 50000 steps"):
        template.render(**chat(7))
    assert template.render(**chat(6)) == "6"  # each request has a budget of its own


def test_a_long_conversation_may_take_more_steps() -> None:
    each = "{% for m in messages %}{% if loop.index0 < messages | length %}{{ m.role ~ m.content | trim }}{% endif %}"
    template = compiled(each + "{% endfor %}")
    assert len(template.render(**chat(2000, "Hello"))) == 2000 * len("userHello")
    assert len(template.render(**chat(2, "x" * 2_000_000))) > 4_000_000


def test_the_environment_parses_templates_as_they_are() -> None:
    template = compiled("{{ messages[0].content }}")
    assert len(template.environment.parse("{{ a ~ b }}").body) == 1
