"""Constraints that come as Python text, in a small closed language that is checked before anything is done with it.

Programs in data files are never run. They are parsed here, and refused where they use anything that is not listed;
`_constraint_interpreter` walks over what is left.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from hqre_jax.bridge.tasks._literals import read_literal, read_tree
from hqre_jax.core._types import InputError

MAX_CHARS, MAX_DEPTH = 20_000, 40


def _next(many: Iterable[Any], *default: Any) -> Any:
    """`next` that fails as an index does: StopIteration would end the interpreter's own generators."""
    found = [*many, *default]
    if len(default) > 1 or not found:
        raise LookupError
    return found[0]


COMPARE: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
UNARY: Mapping[type, Callable[[Any], Any]] = {ast.Not: operator.not_, ast.USub: operator.neg, ast.UAdd: operator.pos}
# Those that make sequences of what they are given are called on values whose size has been measured.
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{
        f.__name__: f for f in (abs, all, any, bool, dict, frozenset, len, list, max, min, set, sorted, str, sum, tuple)
    },
    "enumerate": lambda many, start=0: list(enumerate(many, start)),
    "int": lambda value: int(value[:20] if isinstance(value, str) else value),
    "isinstance": isinstance,
    "next": _next,
    "range": range,
    "reversed": lambda many: list(reversed(many)),
    "zip": lambda *many: list(zip(*many, strict=False)),
}
_TYPES: Mapping[str, type] = {t.__name__: t for t in (bool, dict, float, frozenset, int, list, set, str, tuple)}
_SETS = ("difference", "intersection", "isdisjoint", "issubset", "issuperset", "symmetric_difference", "union")
METHODS: Mapping[type, frozenset[str]] = {
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"append", "count", "index"}),
    tuple: frozenset({"count", "index"}),
    set: frozenset({"add", *_SETS}),
    frozenset: frozenset(_SETS),
    str: frozenset({"count", "endswith", "find", "index", "isdigit", "lower", "split", "startswith", "strip", "upper"}),
}
_ALL_METHODS = frozenset[str]().union(*METHODS.values())
_STATEMENTS = (ast.Return, ast.If, ast.For, ast.Assign, ast.AugAssign, ast.Expr, ast.Pass, ast.Break, ast.Continue)
# Arguments that may be named.
_NAMED: Mapping[str | None, str] = {"enumerate": "start", "sorted": "reverse"}
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_EXPRESSIONS = (
    *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Call, ast.Constant, ast.Name, ast.Subscript),
    *(ast.Slice, ast.List, ast.Tuple, ast.Set, ast.Dict, *_COMPREHENSIONS),
)
_PARTS = (ast.comprehension, ast.expr_context, ast.boolop, *COMPARE, *BINARY, *UNARY)


class Program(NamedTuple):
    """A program that has been checked.

    Attributes:
        functions: Its functions, by name.
        constraints: Those that an answer must meet, in order, "inputs_check" first.
        constants: Names of values that all functions know.
    """

    functions: Mapping[str, ast.FunctionDef | ast.Lambda]
    constraints: tuple[str, ...]
    constants: Mapping[str, Any]


@lru_cache(maxsize=2_000)
def read_program(check: str, constraints: str, where: str) -> Program:
    """Parse and check a verifier.

    Args:
        check: Text that defines ``inputs_check(inputs)``.
        constraints: Text that defines functions of ``inputs`` and ends in ``constraint_list = […]``.
        where: File and line, for errors.

    Raises:
        InputError: It uses something that is not in the language; says what, and in which line of which text.
    """
    functions, constants, listed = dict[str, ast.FunctionDef | ast.Lambda](), dict[str, Any](), None
    for name, text in (("Inputs_Check_code", check), ("Constraint_List_code", constraints)):
        place = f"{where} {name}"
        if len(text) > MAX_CHARS:
            raise InputError(place, f"has {len(text)} characters, and at most {MAX_CHARS} are read")
        for statement in read_tree(text, place).body:
            if isinstance(statement, ast.FunctionDef):
                functions[statement.name] = statement
            elif _assigned(statement) == "constraint_list":
                assert isinstance(statement, ast.Assign)
                listed = _listed(statement.value, functions, place)
            elif isinstance(statement, ast.Assign) and (constant := _assigned(statement)):
                constants[constant] = read_literal(ast.unparse(statement.value), f"{place} line {statement.lineno}")
            elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                _refuse(statement, place)
        for function in functions.values():
            _check_function(function, functions, place)
    if "inputs_check" not in functions or listed is None:
        raise InputError(where, "'code' defines no inputs_check, or no constraint_list")
    return Program(functions, ("inputs_check", *listed), constants)


def _assigned(statement: ast.stmt) -> str | None:
    target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
    return target.id if isinstance(target, ast.Name) else None


def _listed(node: ast.expr, functions: dict[str, ast.FunctionDef | ast.Lambda], where: str) -> list[str]:
    names = []
    for k, part in enumerate(node.elts if isinstance(node, ast.List) else [node], 1):
        if isinstance(part, ast.Lambda):
            functions[f"constraint {k}"] = part
            names.append(f"constraint {k}")
        elif isinstance(part, ast.Name) and part.id in functions:
            names.append(part.id)
        else:
            _refuse(part, where)
    return names


def _refuse(node: ast.AST, where: str, what: str = "", line: int = 0) -> NoReturn:
    what, line = what or type(node).__name__, getattr(node, "lineno", line)
    raise InputError(
        f"{where} line {line}", f"uses {what[:60]!r}, which is not in the language of constraints that is read"
    )


def _check_function(function: ast.FunctionDef | ast.Lambda, functions: Mapping[str, Any], where: str) -> None:
    given = function.args
    if given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs or given.defaults:
        _refuse(function, where, "arguments other than names")
    if isinstance(function, ast.FunctionDef) and function.decorator_list:
        _refuse(function, where, "a decorator")
    body = function.body if isinstance(function.body, list) else [function.body]
    waiting: list[tuple[ast.AST, int, int]] = [(node, 1, node.lineno) for node in body]
    while waiting:
        node, depth, line = waiting.pop()
        line = getattr(node, "lineno", line)
        if depth > MAX_DEPTH:
            _refuse(node, where, f"more than {MAX_DEPTH} levels", line)
        _check_node(node, functions, where, line)
        waiting += [(child, depth + 1, line) for child in _values(node)]


def _values(node: ast.AST) -> Iterable[ast.AST]:
    """What is below a node, the names of called functions and of types left out: they are no values."""
    if not isinstance(node, ast.Call):
        return ast.iter_child_nodes(node)
    given = node.args[:1] if isinstance(node.func, ast.Name) and node.func.id == "isinstance" else node.args
    held = [node.func.value] if isinstance(node.func, ast.Attribute) else []
    return [*held, *given, *(part.value for part in node.keywords)]


def _check_node(node: ast.AST, functions: Mapping[str, Any], where: str, line: int) -> None:
    if not isinstance(node, (*_STATEMENTS, *_EXPRESSIONS, *_PARTS)):
        _refuse(node, where, line=line)
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else None
        method = node.func.attr if isinstance(node.func, ast.Attribute) else None
        if name not in FUNCTIONS and name not in functions and method not in _ALL_METHODS:
            _refuse(node, where, ast.unparse(node.func))
        if any(part.arg != _NAMED.get(name) or not part.arg for part in node.keywords):
            _refuse(node, where, "a named argument")
        if name == "isinstance" and not (len(node.args) == 2 and types_of(node.args[1])):
            _refuse(node, where, "isinstance of another type")
    elif isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str | None):
        _refuse(node, where, type(node.value).__name__)
    elif (isinstance(node, ast.comprehension) and node.is_async) or (isinstance(node, ast.Dict) and None in node.keys):
        _refuse(node, where, "async or **", line)
    elif isinstance(node, ast.Assign | ast.AugAssign | ast.For | ast.comprehension):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                whole = isinstance(node, ast.Assign | ast.AugAssign) and part is target
                if not isinstance(part, ast.Name | ast.Subscript if whole else ast.Name):
                    _refuse(node, where, "assignment to a part of something", line)


def types_of(node: ast.expr) -> tuple[type, ...]:
    """The types that the second argument of `isinstance` names; none where one of them is no type of values."""
    names = node.elts if isinstance(node, ast.Tuple) else [node]
    found = [_TYPES.get(name.id) if isinstance(name, ast.Name) else None for name in names]
    return tuple(kind for kind in found if kind) if all(found) else ()
