"""Chat templates cannot cost much and cannot get out, and what known templates use works."""

from __future__ import annotations

import time

import pytest

from framework.data.rows import Turn
from framework.data.template import RefusedError, Template

TURNS = (Turn("user", "a"), Turn("assistant", "b"))
GROW = "{% set ns = namespace(x=START) %}{% for i in range(60) %}{% set ns.x = STEP %}{% endfor %}{{ ns.x }}"
TWICE = "{% for a in range(9999) %}{% for b in range(9999) %}BODY{% endfor %}{% endfor %}"


def growing(start: str, step: str) -> str:
    return GROW.replace("START", start).replace("STEP", step)


HOSTILE = {
    "loops": TWICE.replace("BODY", ""),
    "range": "{% for a in range(10**9) %}x{% endfor %}",
    "filtered loops": TWICE.replace("range(9999) %}BODY", "range(9999) if false %}"),
    "string times": "{{ 'x' * 10**10 }}",
    "times string": "{{ 10**10 * 'x' }}",
    "list times": "{{ [1] * 10**9 }}",
    "power": "{{ 9**(9**9) }}",
    "squares": growing("9", "ns.x * ns.x"),
    "doubled by ~": growing("'x'", "ns.x ~ ns.x"),
    "doubled by +": growing("'x'", "ns.x + ns.x"),
    "doubled list": growing("[1]", "ns.x + ns.x"),
    "doubled by replace": growing("'xx'", "ns.x|replace('x', 'xx')"),
    "doubled dict": growing("{}", "dict(a=ns.x, b=ns.x)"),
    "doubled escapes": "{% autoescape true %}" + growing("'<'", "(ns.x|e) ~ (ns.x|e)") + "{% endautoescape %}",
    "shared lists": growing("['x']", "[ns.x, ns.x]"),
    "shared lists compared": "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
    "shared arguments": "{% macro m(n) %}{% if n %}{{ m(n - 1, varargs, varargs) }}{% else %}"
    "{{ {varargs: 1} }}{% endif %}{% endmacro %}{{ m(60, 'x') }}",
    "a namespace in itself": "{% set ns = namespace(x=1) %}{% set ns.x = [ns, ns] %}{{ ns.x }}",
    "center": "{{ 'x'|center(10**9) }}",
    "ljust": "{{ 'x'.ljust(10**9) }}",
    "expandtabs": "{{ '\\t'.expandtabs(10**9) }}",
    "format": "{{ '{:>9999999999}'.format('x') }}",
    "format in format": "{{ '{:>{}}'.format('x', 9999999999) }}",
    "format by %": "{{ '%9999999999d' % 1 }}",
    "format by %*": "{{ '%*d' % (9999999999, 1) }}",
    "format filter": "{{ '%9999999999d'|format(1) }}",
    "format repeated": "{{ ('{0}' * 9999).format('x' * 99999) }}",
    "replace": "{{ ('x' * 99999)|replace('x', 'y' * 99999) }}",
    "replace method": "{{ ('x' * 99999).replace('', 'y' * 99999) }}",
    "join": "{{ range(9999)|join('x' * 99999) }}",
    "join method": "{{ ('x' * 99999).join(range(9999)|map('string')) }}",
    "indent": "{{ ('\\n' * 9999)|indent(99999) }}",
    "json indented": "{{ [1]|tojson(indent=9999999999) }}",
    "json separated": "{{ range(9999)|list|tojson(separators=('x' * 99999, ':')) }}",
    "round": "{{ 1.5|round(9999999999, 'ceil') }}",
    "sum of lists": "{{ [[1], [2]]|sum(start=[]) }}",
    "output": "{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
    "captured output": "{% set y %}{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}{% endset %}",
    "own text": "{% set y %}" + TWICE.replace("BODY", "x" * 9999) + "{% endset %}",
    "map": TWICE.replace("{% for b in range(9999) %}BODY{% endfor %}", "{{ range(9999)|map('upper')|list|length }}"),
    "select": TWICE.replace("{% for b in range(9999) %}BODY{% endfor %}", "{{ range(9999)|selectattr('a')|list }}"),
    "sort": TWICE.replace("{% for b in range(9999) %}BODY{% endfor %}", "{{ range(9999)|sort(reverse=true)|first }}"),
    "large maps": "{{ range(9999)|map('replace', '1', 'x' * 99999)|list|length }}",
    "comparisons": "{% set y = 'x' * 90000 %}{% set z = 'x' * 90000 %}" + TWICE.replace("BODY", "{{ y == z }}"),
    "searches": "{% set y = 'x' * 90000 %}" + TWICE.replace("BODY", "{% if 'z' in y %}{% endif %}"),
    "slices": "{% set y = 'x' * 90000 %}" + TWICE.replace("BODY", "{% set z = y[1:] %}"),
    "splits": "{% set y = 'x ' * 9000 %}" + TWICE.replace("BODY", "{% set z = y.split(' ') %}"),
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "tree": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "block": "{% block a %}{{ self.a() }}{% endblock %}",
    "recursive loop": "{% for a in [1] recursive %}{{ loop([1]) }}{{ loop([1]) }}{% endfor %}",
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "nested loops": "{% for a in [1] %}" * 200 + "{% endfor %}" * 200,
    "digits": "{{ " + "9" * 9999 + " }}",
    "sum": "{{ 1" + "+1" * 30000 + " }}",
    "source": "x" * 10**7,
}
ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ ''|attr('__class__') }}",
    "{{ ['']|map(attribute='__class__')|list }}",
    "{{ '{0.__class__}'.format('') }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ ''['__class__']['__mro__'] }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ strftime_now.__self__.__class__ }}",
    "{{ self._TemplateReference__context.environment }}",
    "{{ loop.__class__ }}{% for a in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m.__call__.__func__.__globals__ }}",
    "{{ (messages|map('upper')).gi_frame.f_globals }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update(a=1) }}",
    "{{ messages[0].clear() }}",
    "{{ (1).to_bytes(9) }}",
    "{{ cycler.__init__.__globals__ }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% extends 'x' %}",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_are_refused_soon(name: str) -> None:
    begun = time.process_time()
    with pytest.raises(RefusedError):
        Template(HOSTILE[name], {}).render(TURNS)
    assert time.process_time() - begun < 2.0


@pytest.mark.parametrize("source", ESCAPES)
def test_nothing_leads_out(source: str) -> None:
    with pytest.raises(RefusedError):
        print(repr(Template(source, {}).render(TURNS)))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "{% for m in messages %}{{ loop.index }}{{ m.role[0] }}{% if not loop.last %},{% endif %}{% endfor %}",
            "1u,2a",
        ),
        ("{% for m in messages if m.role == 'user' %}{{ m['content'] | trim }}{{ loop.length }}{% endfor %}", "a1"),
        ("{% for m in messages[::-1] %}{{ m.content }}{% break %}{% endfor %}", "b"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        ("{{ messages | map(attribute='content') | join(' | ') }}", "a | b"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
        ("{{ {'b': 1, 'a': ['é', none, true]} | tojson }}", '{"b": 1, "a": ["é", null, true]}'),
        ("{{ [1, {'a': 2}] | tojson(indent=2) }}", '[\n  1,\n  {\n    "a": 2\n  }\n]'),
        ("{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k ~ '=' ~ v }};{% endfor %}", "x=1;y=2;"),
        ("{% macro say(x, y='!') %}{{ x }}{{ y }}{% endmacro %}{{ say('a') }}{{ say('b', y='?') }}", "a!b?"),
        ("{{ 'a<x>b</x>c'.split('</x>')[-1].lstrip('c') }}{{ 'abc'.startswith(('a', 'b')) }}", "True"),
        ("{{ 'a-b'.replace('-', '+') }}{{ ', '.join(['x', 'y']) }}{{ '{}:{}'.format('k', 1) if false }}", "a+bx, y"),
        ("{{ '{} {a}'.format('k', a=1) }}{{ '%s %d' % ('k', 2) }}{{ '%s' | format(3) }}", "k 1k 23"),
        ("{{ 2 ** 10 + 7 % 4 * 3 }}{{ -1 | abs }}{{ 1.5 | round | int }}", "103312"),
        ("{% generation %}x{% endgeneration %}{{ strftime_now('%Y-%m-%d') }}", "x2024-07-26"),
        ("{{ tools is none }}{{ x is defined }}{{ messages is iterable }}{{ 'a' in 'abc' }}", "TrueFalseTrueTrue"),
        ("{{ 'x' | indent(2, first=true) }}{{ 'abc'[:-1] }}{{ none }}{{ ('a', 'b')[1] }}", "  xabNoneb"),
    ],
)
def test_what_templates_use_works(source: str, text: str) -> None:
    assert Template(source, {}).render(TURNS) == text


def test_long_conversations_are_not_costly() -> None:
    source = "{% for m in messages %}{{ '<' + m.role + '>' + m.content | trim + '</s>' }}"
    source += (
        "{% if loop.index0 == messages | length - 1 or messages[loop.index0:][0].role == 'x' %}!{% endif %}{% endfor %}"
    )
    template = Template(source, {})
    many = [Turn("user" if at % 2 == 0 else "assistant", "word " * 50) for at in range(1000)]
    assert template.render(many).count("</s>") == 1000
    assert len(template.render([Turn("user", "word " * 1_000_000)])) > 4_000_000


def test_refusals_say_what_costs() -> None:
    with pytest.raises(RefusedError, match="costs too much: it makes values that are too large"):
        Template("{{ 'x' * 10**10 }}", {}).render(TURNS)
    with pytest.raises(RefusedError, match="costs too much: its output is too long"):
        Template(HOSTILE["output"], {}).render(TURNS)
