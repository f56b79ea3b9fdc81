"""The sandbox in which chat templates run: no attribute leads out, and what a rendering may cost is bounded.

Every operation is charged with the size of what it reads and makes (``Meter``), before it is done where it can
multiply. So the cost of a rendering is bounded whatever the template does, the same on every machine, and nothing has
to be interrupted. Beside jinja2's own hooks, loops, literals, slices, comparisons and ``~`` are wrapped while a
template is compiled; filters and methods are those that chat templates use.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from jinja2 import nodes
from jinja2.defaults import DEFAULT_FILTERS, DEFAULT_TESTS
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import _PassArg, pass_context  # pyright: ignore[reportPrivateUsage]
from jinja2.visitor import NodeTransformer

from framework.data import guards
from framework.data.meter import CostError, Meter

RUNNING: ContextVar[Meter] = ContextVar("RUNNING")
"""The meter of the rendering under way."""
MAX_SOURCE = 64_000
"""Characters of a template; compiling them takes about a second."""
_DEEP, _NESTED = 150, 16
"""How deep expressions and statements may stand in one another, and how deep loops (Python allows 20)."""
_FILTERS = """abs attr capitalize count d default dictsort e escape first float format groupby indent int items join
last length list lower map max min reject rejectattr replace reverse round safe select selectattr sort string sum title
tojson trim truncate unique upper wordcount"""
_GLANCING = "count d default first items last length"
"""Filters that do not go through what they are given."""
_COMPARING = "in eq equalto == ne != lt lessthan < gt greaterthan > le <= ge >="
_METHODS: dict[type, str] = {
    str: """capitalize casefold count endswith find format format_map index isalnum isalpha isascii isdecimal isdigit
    isidentifier islower isnumeric isspace istitle isupper join lower lstrip partition removeprefix removesuffix replace
    rfind rindex rpartition rsplit rstrip split splitlines startswith strip swapcase title upper""",
    dict: "copy get items keys values",
    list: "copy count index",
    tuple: "count index",
    range: "count index",
    int: "",
    float: "",
}
"""What templates may use of Python's own types."""


class _Generation(Extension):
    """``{% generation %}`` marks assistant text for another way of masking; here its body is rendered as it is."""

    tags = {"generation"}  # noqa: RUF012 (the base class declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment that compiles templates whose rendering is metered. Set ``RUNNING`` around a rendering."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, functions: dict[str, Any]) -> None:
        """``functions`` are what templates can call beside ``range``, ``dict`` and ``namespace``."""
        # optimized, and a finalize with a context: nothing is computed while compiling, where nothing is metered.
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, loopcontrols],
            finalize=_output,
            optimized=False,
        )
        self.filters = {
            name: _metered(
                DEFAULT_FILTERS[name],
                Meter.weigh if name in _GLANCING.split() else Meter.each,
                guards.FILTERS.get(name),
            )
            for name in _FILTERS.split()
        }
        self.filters |= {"tojson": _metered(_json, Meter.each), "_weigh": _weigh, "_compare": _compare, "_tick": _tick}
        self.tests |= {name: _metered(DEFAULT_TESTS[name], Meter.compare) for name in _COMPARING.split()}
        own: dict[str, Any] = self.globals
        self.globals = {**{name: own[name] for name in ("range", "dict", "namespace")}, **functions}

    def _generate(self, source: nodes.Template, name: Any, filename: Any, defer_init: bool = False) -> str:
        return super()._generate(_Weighing().visit(source), name, filename, defer_init)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """The result of an operator, refused before it can grow too large."""
        meter = RUNNING.get()
        if operator == "*":
            guards.multiplied(meter, left, right)
        elif operator == "**":
            guards.raised(left, right)
        elif operator == "%" and isinstance(left, str):
            guards.formatted(meter, left, right)
        elif not isinstance(left, str):
            meter.fits(meter.weight(left) + meter.weight(right))
        return meter.weigh(self.binop_table[operator](left, right))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may have an attribute: of Python's own types the listed methods alone."""
        for kind, names in _METHODS.items():
            if isinstance(obj, kind):
                return attr in names.split()
        return super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """Asking is enough to be refused, where jinja2 waits until the answer is used."""
        raise SecurityError(f"access to attribute {attribute!r} of {type(obj).__name__!r} object is unsafe.")

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """``str.format`` in the sandbox, without widths."""
        found = super().wrap_str_format(value)
        if found is None:
            return None
        text: str = value.__self__

        def bounded(*args: Any, **kwargs: Any) -> str:
            if ":" in text:
                raise CostError("it formats with widths")
            meter = RUNNING.get()
            meter.fits(len(text) + text.count("{") * (meter.weight(args) + meter.weight(kwargs)))
            return found(*args, **kwargs)

        return bounded

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call a function or method of a template."""
        meter = RUNNING.get()
        for value in (*args, *kwargs.values()):
            meter.weigh(value, loose=True)
        if isinstance(owner := getattr(__obj, "__self__", None), str):
            if __obj.__name__ == "replace":
                guards.replaced(meter, owner, *args, **kwargs)
            elif __obj.__name__ == "join":
                args = (guards.joined(meter, args[0], owner), *args[1:])
        found = super().call(__context, __obj, *args, **kwargs)
        return meter.weigh(found, loose=True)


class _Weighing(NodeTransformer):
    """Wraps what jinja2 has no hook for."""

    def __init__(self) -> None:
        self._depth = self._loops = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        self._depth += 1
        if self._depth > _DEEP:
            raise TemplateSyntaxError("it is nested too deeply", node.lineno)
        found = super().visit(node, *args, **kwargs)
        self._depth -= 1
        return found

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 (jinja2 finds them by these names)
        self._loops += 1
        if self._loops > _NESTED:
            raise TemplateSyntaxError("its loops are nested too deeply", node.lineno)
        self.generic_visit(node)
        self._loops -= 1
        text = sum(len(data.data) for part in node.body for data in part.find_all(nodes.TemplateData))
        node.iter = _wrapped(node.iter)
        node.body.insert(0, nodes.ExprStmt(_wrapped(nodes.Const(text), "_tick"), lineno=node.lineno))
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _wrapped(node.expr, "_compare")
        for operand in node.ops:
            operand.expr = _wrapped(operand.expr, "_compare")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _wrapped(node) if isinstance(node.arg, nodes.Slice) else node

    def _made(self, node: nodes.Expr) -> nodes.Expr:
        self.generic_visit(node)
        return node if getattr(node, "ctx", "load") == "store" else _wrapped(node)

    visit_Concat = visit_List = visit_Tuple = visit_Dict = _made  # noqa: N815 (jinja2 finds them by these names)


def _wrapped(node: Any, filter: str = "_weigh") -> nodes.Expr:
    if filter != "_tick" and isinstance(node, nodes.Const):
        return node
    return nodes.Filter(node, filter, [], [], None, None, lineno=node.lineno)


@pass_context
def _weigh(context: Context, value: Any) -> Any:
    return RUNNING.get().weigh(value)


@pass_context
def _compare(context: Context, value: Any) -> Any:
    return RUNNING.get().compare(value)


@pass_context
def _tick(context: Context, text: int) -> None:
    """A round of a loop, with so many characters of the template's own."""
    RUNNING.get().write(text)


@pass_context
def _json(context: Context, value: Any, **options: Any) -> str:
    return guards.to_json(RUNNING.get(), value, **options)


@pass_context
def _output(context: Context, value: Any) -> Any:
    meter = RUNNING.get()
    meter.write(len(value) if isinstance(value, str) else meter.weight(value))
    return value


def _metered(
    function: Callable[..., Any], charged: Callable[[Meter, Any], Any], guard: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """A filter or test that is charged with what it reads and gives."""
    passed = _PassArg.from_obj(function)

    @pass_context
    def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        meter = RUNNING.get()
        charged(meter, value)
        for one in (*args, *kwargs.values()) if args or kwargs else ():
            charged(meter, one)
        if guard is not None:
            value = guard(meter, value, *args, **kwargs)
        if passed is None:
            return meter.weigh(function(value, *args, **kwargs))
        first = {
            _PassArg.context: context,
            _PassArg.eval_context: context.eval_ctx,
            _PassArg.environment: context.environment,
        }[passed]
        return meter.weigh(function(first, value, *args, **kwargs))

    return run
