"""The printer against ruff itself, on random expressions."""

from __future__ import annotations

import ast
import random
import subprocess

import pytest

from flask_dualmigrate.generate.source.printer import (
    print_block,
    print_comment,
    print_statement,
    quote,
    width_of,
)

NAMES = ("sa", "op", "postgresql", "status", "ix_items_name", "größe", "数量")
WORDS = ("a", "it's", 'say "x"', "long" * 8, "back\\slash", "größe", "数量", "%s", "🎉")


def _expression(rng: random.Random, depth: int) -> str:
    kinds = ["text", "number", "name"]
    if depth:
        kinds += ["call", "call", "list", "dict", "tuple", "chain"]
    count = rng.randint(0, 3) if depth else 0
    inner = [_expression(rng, depth - 1) for _ in range(count)]
    match rng.choice(kinds):
        case "text":
            return repr(" ".join(rng.choices(WORDS, k=rng.randint(0, 4))))
        case "number":
            return rng.choice(["1", "-1", "None", "True", "2.5", "b'x'"])
        case "call":
            named = [f"{name}={_expression(rng, 0)}" for name in NAMES[:2]]
            arguments = inner + named[: rng.randint(0, 2)]
            return f"{rng.choice(NAMES[:3])}.make({', '.join(arguments)})"
        case "chain":
            calls = "".join(
                f".{name}({item})" for name, item in zip(NAMES, inner, strict=False)
            )
            return f"sa.JSON({rng.choice([*inner, ''])}){calls}"
        case "list":
            return f"[{', '.join(inner)}]"
        case "dict":
            return "{" + ", ".join(f"{i}: {item}" for i, item in enumerate(inner)) + "}"
        case "tuple":
            return f"({', '.join(inner)}{',' * (len(inner) == 1)})"
    return rng.choice(NAMES)


def _ruff(*arguments: str, source: str) -> subprocess.CompletedProcess[str]:
    command = ["ruff", *arguments, "--isolated", "--line-length", "88", "-"]
    return subprocess.run(
        command, input=source, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("seed", range(20))
def test_ruff_format_leaves_what_was_printed_as_it_is(seed: int) -> None:
    rng = random.Random(seed)
    lines = ["def upgrade(op):"]
    for _ in range(40):
        source = f"op.{rng.choice(NAMES)}({_expression(rng, 4)}, {_expression(rng, 3)})"
        lines += print_block(ast.parse(source).body, indent=4)
    text = "\n".join(lines) + "\n"

    assert _ruff("format", source=text).stdout == text


@pytest.mark.parametrize("seed", range(5))
def test_what_was_printed_means_the_same(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        node = ast.parse(f"x = {_expression(rng, 4)}").body[0]
        printed = "\n".join(print_statement(node))

        assert ast.dump(ast.parse(printed)) == ast.dump(ast.parse(ast.unparse(node)))


@pytest.mark.parametrize(
    "source",
    [
        "with op.batch_alter_table('items', schema=None) as batch_op: pass",
        f"with op.batch_alter_table('{'i' * 50}', schema='{'s' * 30}') as batch: pass",
        f"with op.batch_alter_table('{'i' * 30}', schema='{'s' * 20}') as batch: pass",
        f"text = '{'word ' * 30}'",
        f"text = f('{'word ' * 30}')",
        f"op.f('{'word ' * 30}').label('x')",
        f"op.f(comment='{'word ' * 30}', x=1)",
        f"op.f(*['{'i' * 50}', '{'j' * 50}'], **options)",
        f"op.f({{'{'i' * 50}', '{'j' * 50}'}})",
        f"op.f({{**a, '{'i' * 40}': '{'j' * 30}'}})",
        "for name in names: op.drop_table(name)",
    ],
    ids=range(11),
)
def test_statements_come_out_as_ruff_formats_them(source: str) -> None:
    text = "\n".join(print_block(ast.parse(source).body, indent=0)) + "\n"

    assert _ruff("format", source=text).stdout == text
    assert _ruff("check", "--select", "E,W", source=text).returncode == 0


@pytest.mark.parametrize(
    "text",
    ["word " * 60, "two\nlines \t" * 30, "x" * 300, b"\x00x" * 80, "数量 größe " * 20],
    ids=["words", "blanks", "one-word", "bytes", "wide"],
)
def test_a_long_text_is_split_so_that_no_line_is_too_long(text: str | bytes) -> None:
    node = ast.parse(f"op.todo({text!r})").body[0]

    lines = print_statement(node, indent=4)

    assert max(map(width_of, lines)) <= 88
    printed = ast.parse("\n".join(lines).strip())
    assert ast.dump(printed) == ast.dump(ast.Module([node], []))


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", '"plain"'),
        ("it's", '"it\'s"'),
        ('"x"', "'\"x\"'"),
        ("\"'", '"\\"\'"'),
        ("a\\b\n", '"a\\\\b\\n"'),
        (b"x'", 'b"x\'"'),
        ("数量 🎉", '"数量 🎉"'),
    ],
)
def test_quotes_are_ruffs(text: str | bytes, literal: str) -> None:
    assert quote(text) == literal
    assert ast.literal_eval(literal) == text


def test_a_comment_is_wrapped_and_folded() -> None:
    lines = print_comment("one\ntwo " + "word " * 30, indent=4)

    assert lines[0].startswith("    # one two word")
    assert len(lines) == 2
    assert max(map(len, lines)) <= 88
