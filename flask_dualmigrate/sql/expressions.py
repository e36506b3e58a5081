"""Parses the SQL expressions of defaults, partial indexes and checks, as PostgreSQL
prints them and as people write them.

The grammar is deliberately small: anything outside it raises UnknownSql, and the
translator then leaves the expression to a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .tokens import Token, UnknownSql, identifier, known_tokens, value


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Number:
    text: str


@dataclass(frozen=True)
class Word:
    """TRUE, FALSE (a bool) or NULL (None)."""

    value: bool | None


@dataclass(frozen=True)
class Name:
    """A column; for a qualified name, its last part."""

    name: str


@dataclass(frozen=True)
class Call:
    name: str
    args: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Cast:
    value: Expr
    type_name: str


@dataclass(frozen=True)
class Array:
    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Unary:
    """operator: NOT, -, or IS NULL, IS NOT NULL, IS TRUE, … after the value."""

    operator: str
    value: Expr


@dataclass(frozen=True)
class Binary:
    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True)
class In:
    value: Expr
    items: tuple[Expr, ...]


Expr = Text | Number | Word | Name | Call | Cast | Array | Unary | Binary | In

_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")
_TYPE_WORDS = ("varying", "precision", "with", "without", "time", "zone")
_NO_ARGUMENTS = (
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
    "current_user",
    "session_user",
)
_NOT_VALUES = ("case", "select", "exists", "row", "interval", "collate", "like")


def bare(expression: Expr) -> Expr:
    """Return an expression without the casts around it and around its arguments."""
    while isinstance(expression, Cast):
        expression = expression.value
    if isinstance(expression, Call):
        return Call(expression.name, tuple(map(bare, expression.args)))
    return expression


def parse(sql: str) -> Expr:
    """Parse one expression.

    Raises UnknownSql if it contains anything outside the grammar.
    """
    reader = _Reader([token for token in known_tokens(sql) if not token.is_blank], sql)
    expression = reader.disjunction()
    reader.end()
    return expression


class _Reader:
    """A recursive-descent parser, from the operator that binds least."""

    def __init__(self, parts: list[Token], sql: str) -> None:
        self._parts = parts
        self._at = 0
        self._sql = sql

    def end(self) -> None:
        if self._at < len(self._parts):
            raise UnknownSql(self._sql)

    def disjunction(self) -> Expr:
        return self._chain(("or",), self._conjunction)

    def _conjunction(self) -> Expr:
        return self._chain(("and",), self._negation)

    def _negation(self) -> Expr:
        if self._take("not"):
            return Unary("NOT", self._negation())
        return self._comparison()

    def _comparison(self) -> Expr:
        left = self._operation()
        while True:
            if self._take("is"):
                left = Unary(self._is_what(), left)
            elif self._take("in"):
                left = In(left, self._list("(", ")"))
            elif self._next("not") and self._next("in", 1):
                self._at += 2
                left = Unary("NOT", In(left, self._list("(", ")")))
            elif self._take("between"):
                left = self._between(left)
            elif self._peek() in _COMPARISONS:
                left = self._compare(left, self._pop().text)
            else:
                return left

    def _compare(self, left: Expr, operator: str) -> Expr:
        operator = "<>" if operator == "!=" else operator
        if operator == "=" and self._take("any"):
            return In(left, _items_of(self._group()))
        return Binary(operator, left, self._operation())

    def _is_what(self) -> str:
        words = ["IS"]
        if self._take("not"):
            words.append("NOT")
        word = self._pop().text.upper()
        if word not in ("NULL", "TRUE", "FALSE", "UNKNOWN"):
            raise UnknownSql(self._sql)
        return " ".join([*words, "NULL" if word == "UNKNOWN" else word])

    def _between(self, left: Expr) -> Expr:
        low = self._operation()
        self._expect("and")
        high = self._operation()
        return Binary("AND", Binary(">=", left, low), Binary("<=", left, high))

    def _operation(self) -> Expr:
        operators = ("->>", "->", "#>>", "#>", "||", "~~", "~~*", "!~~", "@>", "<@")
        return self._chain(operators, self._sum)

    def _sum(self) -> Expr:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> Expr:
        return self._chain(("*", "/", "%"), self._sign)

    def _sign(self) -> Expr:
        if self._take("-"):
            value = self._sign()
            if isinstance(value, Number) and not value.text.startswith("-"):
                return Number("-" + value.text)
            return Unary("-", value)
        return self._postfix()

    def _postfix(self) -> Expr:
        value = self._atom()
        while True:
            if self._take("::"):
                value = Cast(value, self._type_name())
            elif self._next("at") and self._next("time", 1):
                self._at += 2
                self._expect("zone")
                value = Call("timezone", (self._postfix_of_atom(), value))
            else:
                return value

    def _postfix_of_atom(self) -> Expr:
        value = self._atom()
        while self._take("::"):
            value = Cast(value, self._type_name())
        return value

    def _atom(self) -> Expr:
        token = self._pop()
        if token.kind == "text":
            return Text(value(token))
        if token.kind == "escaped":
            return Text(_unescape(token.text[2:-1]))
        if token.kind == "number":
            return Number(token.text)
        if token.text == "(":
            self._at -= 1
            return self._group()
        if token.kind in ("word", "quoted"):
            return self._named(token)
        raise UnknownSql(self._sql)

    def _named(self, token: Token) -> Expr:
        if token.kind == "word":
            word = token.text.lower()
            if word in ("true", "false", "null"):
                return Word({"true": True, "false": False}.get(word))
            if word == "array" and self._peek() == "[":
                return Array(self._list("[", "]"))
            if word == "cast" and self._peek() == "(":
                return self._cast()
            if word in _NO_ARGUMENTS:
                return Call(word, self._list("(", ")") if self._peek() == "(" else ())
            if word in _NOT_VALUES:
                raise UnknownSql(self._sql)
        name = identifier(token) or ""
        while self._take("."):
            name = identifier(self._pop()) or ""
        if self._peek() == "(":
            return Call(name, self._list("(", ")"))
        if self._at < len(self._parts) and self._parts[self._at].kind == "text":
            return Cast(self._atom(), name)
        return Name(name)

    def _cast(self) -> Expr:
        self._expect("(")
        value = self.disjunction()
        self._expect("as")
        type_name = self._type_name()
        self._expect(")")
        return Cast(value, type_name)

    def _type_name(self) -> str:
        name = identifier(self._pop())
        if name is None:
            raise UnknownSql(self._sql)
        while self._take("."):
            name = identifier(self._pop()) or ""
        words = [name, *self._type_words()]
        if self._peek() == "(":
            self._list("(", ")")
            words += self._type_words()
        text = " ".join(words)
        while self._take("["):
            if self._peek() != "]":
                self._pop()
            self._expect("]")
            text += "[]"
        return text

    def _type_words(self) -> list[str]:
        words = []
        while self._peek() in _TYPE_WORDS:
            words.append(self._pop().text.lower())
        return words

    def _group(self) -> Expr:
        self._expect("(")
        value = self.disjunction()
        self._expect(")")
        return value

    def _list(self, opening: str, closing: str) -> tuple[Expr, ...]:
        self._expect(opening)
        items: list[Expr] = []
        while not self._take(closing):
            if items:
                self._expect(",")
            items.append(self.disjunction())
        return tuple(items)

    def _chain(self, operators: tuple[str, ...], operand: Callable[[], Expr]) -> Expr:
        left = operand()
        while self._peek() in operators:
            operator = self._pop().text.upper()
            left = Binary(operator, left, operand())
        return left

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        if at >= len(self._parts) or self._parts[at].kind not in ("word", "sign"):
            return ""
        return self._parts[at].text.lower()

    def _next(self, text: str, ahead: int = 0) -> bool:
        return self._peek(ahead) == text

    def _take(self, text: str) -> bool:
        if self._peek() != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise UnknownSql(self._sql)

    def _pop(self) -> Token:
        if self._at >= len(self._parts):
            raise UnknownSql(self._sql)
        self._at += 1
        return self._parts[self._at - 1]


def _items_of(value: Expr) -> tuple[Expr, ...]:
    """Return the items of `ANY (…)`: ARRAY[…], or a string such as '{a,b}'."""
    while isinstance(value, Cast):
        value = value.value
    if isinstance(value, Array):
        return value.items
    raise UnknownSql(str(value))


def _unescape(text: str) -> str:
    plain = text.replace("''", "'")
    if re.search(r"\\[^\\'nrt]", plain):
        raise UnknownSql(text)
    known = {"n": "\n", "r": "\r", "t": "\t"}
    return re.sub(r"\\(.)", lambda found: known.get(found[1], found[1]), plain)
