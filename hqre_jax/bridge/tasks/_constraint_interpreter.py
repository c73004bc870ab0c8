"""The walk over constraints that `_constraint_language` has checked, with limits on all that it may take."""

import ast
import copy
from collections.abc import Iterator
from typing import Any

from hqre_jax.bridge.tasks._constraint_language import BINARY, COMPARE, FUNCTIONS, METHODS, UNARY, Program, types_of

# Far beyond what constraints on a dozen names need; a fraction of a second at worst.
MAX_STEPS, MAX_SIZE, MAX_NUMBER, MAX_CALLS = 50_000, 2_000, 10**12, 4
# What happens to a program that is given a value of another form than it expects.
_MISTAKES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class TooMuch(Exception):
    """A limit was reached."""


class _Leave(Exception):
    """`return`, `break` or `continue`."""

    def __init__(self, kind: type, value: Any = None):
        self.kind, self.value = kind, value


def broken_constraint(program: Program, answer: Any) -> str | None:
    """The first constraint that an answer does not meet.

    Args:
        program: The constraints.
        answer: Any value of a literal; it may be changed.

    Returns:
        Its name; None where the answer meets them all.

    Raises:
        TooMuch: A limit was reached before that was clear.
    """
    steps, program = _Steps(), program._replace(constants=copy.deepcopy(program.constants))
    for name in program.constraints:
        try:
            if not _Call(program, steps, 0).function(name, [answer]):
                return name
        except _MISTAKES:
            return f"{name}, for which the answer has another form"
        except RecursionError:
            raise TooMuch("values within values") from None
    return None


class _Steps:
    """What has been spent of the limits."""

    def __init__(self):
        self.left = MAX_STEPS

    def spend(self, amount: int = 1) -> None:
        self.left -= amount
        if self.left < 0:
            raise TooMuch(f"more than {MAX_STEPS} steps")

    def sized(self, value: Any) -> Any:
        """A value that is within limits. What it contains several times counts as often."""
        waiting, size = [value], 0
        while waiting:
            part: Any = waiting.pop()
            if isinstance(part, int | float):
                if abs(part) > MAX_NUMBER:
                    raise TooMuch("a number too large")
                size += 1
            else:
                length = len(part) if hasattr(part, "__len__") else 0
                size += 1 + length
                if size <= MAX_SIZE and not isinstance(part, str | range) and length:
                    waiting += [x for pair in part.items() for x in pair] if isinstance(part, dict) else list(part)
            if size > MAX_SIZE:
                raise TooMuch("a value too large")
        self.spend(size)
        return value


class _Call:
    """One call of a function: its names, and the walk over its body."""

    def __init__(self, program: Program, steps: _Steps, depth: int):
        self.program, self.steps, self.depth = program, steps, depth
        self.names = dict[str, Any](program.constants)

    def function(self, name: str, values: list[Any]) -> Any:
        if self.depth > MAX_CALLS:
            raise TooMuch("calls within calls")
        function = self.program.functions[name]
        if len(values) != len(function.args.args):
            raise TypeError
        self.names |= {
            part.arg: self.steps.sized(value) for part, value in zip(function.args.args, values, strict=True)
        }
        if isinstance(function, ast.Lambda):
            return self.value(function.body)
        try:
            self.body(function.body)
        except _Leave as leave:
            return leave.value
        return None

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.steps.spend()
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Return():
                raise _Leave(ast.Return, self.value(node.value) if node.value else None)
            case ast.Break() | ast.Continue():
                raise _Leave(type(node))
            case ast.If():
                self.body(node.body if self.value(node.test) else node.orelse)
            case ast.For():
                self.loop(node)
            case ast.Assign():
                value = self.value(node.value)
                for target in node.targets:
                    self.assign(target, value)
            case ast.AugAssign():  # a new value, where Python would change a list or set in place
                self.assign(node.target, self.binary(node.op, self.value(node.target), self.value(node.value)))
            case ast.Expr():
                self.value(node.value)

    def loop(self, node: ast.For) -> None:
        for value in self.many(node.iter):
            self.assign(node.target, value)
            try:
                self.body(node.body)
            except _Leave as leave:
                if leave.kind is ast.Return:
                    raise
                if leave.kind is ast.Break:
                    return
        self.body(node.orelse)

    def assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Subscript):
            held = self.value(target.value)
            held[self.value(target.slice)] = value
            self.steps.sized(held)
        elif isinstance(target, ast.Tuple | ast.List):
            for part, one in zip(target.elts, list(value), strict=True):
                self.assign(part, one)

    def many(self, node: ast.expr) -> list[Any]:
        return list(self.steps.sized(self.value(node)))

    def binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(op, ast.Mult | ast.Mod) and not all(isinstance(x, int | float) for x in (left, right)):
            raise TypeError  # sequences are not repeated, and texts are not filled in
        return self.steps.sized(BINARY[type(op)](left, right))

    def value(self, node: ast.expr) -> Any:
        self.steps.spend()
        match node:
            case ast.Constant():
                return self.steps.sized(node.value)
            case ast.Name():
                return self.names[node.id]
            case ast.BoolOp():
                for part in node.values:
                    found = self.value(part)
                    if bool(found) == isinstance(node.op, ast.Or):
                        break
                return found
            case ast.UnaryOp():
                return UNARY[type(node.op)](self.value(node.operand))
            case ast.BinOp():
                return self.binary(node.op, self.value(node.left), self.value(node.right))
            case ast.Compare():
                return self.compare(node)
            case ast.IfExp():
                return self.value(node.body if self.value(node.test) else node.orelse)
            case ast.Subscript():
                return self.value(node.value)[self.value(node.slice)]
            case ast.Slice():
                return slice(*(self.value(part) if part else None for part in (node.lower, node.upper, node.step)))
            case ast.List() | ast.Tuple() | ast.Set():
                kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
                return self.steps.sized(kind([self.value(part) for part in node.elts]))
            case ast.Dict():
                keys = [self.value(key) for key in node.keys if key]
                return self.steps.sized(dict(zip(keys, map(self.value, node.values), strict=True)))
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp() | ast.DictComp():
                return self.comprehension(node)
            case ast.Call():
                return self.call(node)
        raise AssertionError("checked programs have no other expressions")

    def compare(self, node: ast.Compare) -> bool:
        left = self.steps.sized(self.value(node.left))
        for op, part in zip(node.ops, node.comparators, strict=True):
            right = self.steps.sized(self.value(part))
            if not COMPARE[type(op)](left, right):
                return False
            left = right
        return True

    def comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp) -> Any:
        """Its values at once, `all` and `any` over generators included."""
        outside = dict(self.names)
        if isinstance(node, ast.DictComp):
            found: Any = {self.value(node.key): self.value(node.value) for _ in self.walk(node.generators)}
        else:
            found = [self.value(node.elt) for _ in self.walk(node.generators)]
            found = set(found) if isinstance(node, ast.SetComp) else found
        self.names = outside
        return self.steps.sized(found)

    def walk(self, generators: list[ast.comprehension]) -> Iterator[None]:
        if not generators:
            yield
            return
        first, *rest = generators
        for value in self.many(first.iter):
            self.steps.spend()
            self.assign(first.target, value)
            if all(self.value(condition) for condition in first.ifs):
                yield from self.walk(rest)

    def call(self, node: ast.Call) -> Any:
        func, given = node.func, node.args
        if isinstance(func, ast.Name) and func.id == "isinstance":
            return isinstance(self.value(given[0]), types_of(given[1]))
        held = self.value(func.value) if isinstance(func, ast.Attribute) else None
        values = [self.steps.sized(self.value(part)) for part in given]
        if isinstance(func, ast.Attribute):
            if func.attr not in METHODS.get(type(held), ()):
                raise AttributeError
            found = getattr(held, func.attr)(*values)
            self.steps.sized(held)
        else:
            assert isinstance(func, ast.Name)
            if func.id in self.program.functions:
                return _Call(self.program, self.steps, self.depth + 1).function(func.id, values)
            found = FUNCTIONS[func.id](*values, **{str(part.arg): self.value(part.value) for part in node.keywords})
        return self.steps.sized(found)
