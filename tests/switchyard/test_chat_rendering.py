"""A chat template renders as transformers renders it, and none takes long or much memory."""

import tracemalloc

import pytest
from jinja2 import TemplateError

from switchyard.chat_rendering import BoundError, RaisedError, render

MESSAGES = {"messages": [{"role": "user", "content": "Grüße, 2024"}], "tools": None, "add_generation_prompt": True}

TEXTS = "{% set n = namespace(t='aaaa') %}{% for i in range(60) %}"
LISTS = "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}"

# Each grows without bound, or runs without end, by another part of the language.
HOSTILE = {
    "loops in loops": "{% for a in range(90000) %}{% for b in range(90000) %}{{ b }}{% endfor %}{% endfor %}",
    "empty loops": "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
    "a long range": "{% for a in range(10 ** 10) %}{% endfor %}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "two calls of itself": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "a recursive loop": "{% for a in [[]] recursive %}{{ loop([[]]) }}{% endfor %}",
    "a repeated text": "{{ 'a' * 10 ** 9 }}",
    "a repeated list": "{{ [0] * 10 ** 9 }}",
    "a large power": "{{ 9 ** (9 ** 9) }}",
    "doubled by ~": TEXTS + "{% set n.t = n.t ~ n.t %}{% endfor %}",
    "doubled by +": TEXTS + "{% set n.t = n.t + n.t %}{% endfor %}",
    "doubled by a block": (TEXTS + "{% set t %}{{ n.t }}{{ n.t }}{% endset %}{% set n.t = t %}{% endfor %}"),
    "doubled by join": TEXTS + "{% set n.t = [n.t, n.t] | join %}{% endfor %}",
    "doubled by format": TEXTS + "{% set n.t = '%s%s' % (n.t, n.t) %}{% endfor %}",
    "replaced by itself": (TEXTS + "{% set n.t = n.t | replace('a', n.t) %}{% endfor %}"),
    "replaced by its method": (TEXTS + "{% set n.t = n.t.replace('a', n.t) %}{% endfor %}"),
    "lists in lists": LISTS + "{{ n.l }}",
    "lists in lists as JSON": (LISTS + "{{ n.l | tojson }}"),
    "lists in lists by ~": (LISTS + "{{ n.l ~ '' }}"),
    "a wide field": "{{ '%999999999d' % 1 }}",
    "a wide filter": "{{ '%999999999d' | format(1) }}",
    "a wide method": "{{ '{:999999999}'.format(1) }}",
    "a wide argument": "{{ '{:{}}'.format(1, 999999999) }}",
    "a wide center": "{{ 'a' | center(999999999) }}",
    "a wide fill": "{{ 'a'.zfill(999999999) }}",
    "a wide indent": "{{ 'a\nb' | indent(999999999) }}",
    "a wide batch": "{{ [1] | batch(999999999, 0) | list }}",
    "much text": "{{ lipsum(n=999999) }}",
    "words by the million": "{% for i in range(99) %}{{ range(99999) | list }}{% endfor %}",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_template_ends_soon_and_small(case: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TemplateError):
            render(HOSTILE[case], MESSAGES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__.mro() }}",
    ],
)
def test_a_template_reaches_nothing_of_python(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, MESSAGES)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            "{%- for m in messages -%}\n  <|{{ m.role }}|>{{ m['content'] | trim }}\n{%- endfor %}",
            "<|user|>Grüße, 2024",
        ),
        ("  {% if tools %}\nx\n  {% endif %}\nend", "end"),  # trim_blocks and lstrip_blocks
        ("{{ messages | tojson }}", '[{"role": "user", "content": "Grüße, 2024"}]'),  # neither HTML nor ASCII
        ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% generation %}mine{% endgeneration %}", "mine"),
        ("{{ strftime_now('%Y') | length }}", "4"),
        ("{{ 'a' ~ 1 ~ none ~ missing }}", "a1None"),
        ("{{ ('a,b'.split(',') | join('-')) + 'c' * 3 }}", "a-bccc"),
        ("{{ '{} and {}'.format(1, 2) }} {{ '%s' % 3 }} {{ '%s' | format(4) }}", "1 and 2 3 4"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m('y') }}", "<y>"),
        ("{% set n = namespace(i=0) %}{% for m in messages %}{% set n.i = n.i + 1 %}{% endfor %}{{ n.i }}", "1"),
        ("{{ (messages | selectattr('role', 'equalto', 'user') | list | first).content }}", "Grüße, 2024"),
        ("{{ messages[0].content.replace('2024', '2025') if messages is defined }}", "Grüße, 2025"),
        ("{{ 7 % 2 }}{{ 2 ** 10 }}{{ 5 // 2 }}", "110242"),
    ],
)
def test_what_templates_do_is_rendered(template: str, text: str) -> None:
    assert render(template, MESSAGES) == text


def test_a_template_that_raises_is_told_from_one_that_is_wrong() -> None:
    with pytest.raises(RaisedError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}", MESSAGES)
    with pytest.raises(TemplateError, match="'missing' is undefined"):
        render("{{ missing.attribute }}", MESSAGES)
    with pytest.raises(TemplateError, match="ZeroDivisionError"):
        render("{{ 1 / 0 }}", MESSAGES)


def test_the_same_steps_are_counted_on_every_machine() -> None:
    with pytest.raises(BoundError, match="more than 50000 steps"):
        render(HOSTILE["empty loops"], MESSAGES)
