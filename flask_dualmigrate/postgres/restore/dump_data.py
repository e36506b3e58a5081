"""The rows of a dump, as pg_restore prints them: COPY blocks and a few statements.

pg_restore does not connect here, so it gets no password: it turns the dump into text,
which is sent to the server through our own connection.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from ...errors import DatabaseUnavailable, IntegrityError
from ...sql.words import Name, words_of

_COPY = re.compile(rb"^COPY (?P<table>.+?) (?:\(.*\) )?FROM stdin;\n\Z", re.DOTALL)
_CHUNK_BYTES = 1 << 18
_END = b"\\.\n"


class Rows:
    """The rows of one table, in the order of the dump.

    copy: the statement that loads them. table: with its schema.
    """

    def __init__(self, copy: bytes, table: Name, chunks: Iterator[bytes]) -> None:
        self.copy = copy
        self.table = table
        self.chunks = chunks

    @property
    def name(self) -> str:
        return ".".join(filter(None, self.table))


@contextmanager
def data_of(
    dump: IO[bytes], program: str, codec: str
) -> Iterator[Iterator[Rows | bytes]]:
    """Yield what fills the tables: the rows, table by table, and statements.

    dump: a file in pg_dump's custom format. program: pg_restore. codec: of its names.
    Raises IntegrityError, with pg_restore's message, if it cannot read the dump; so
    read to the end before committing anything.
    """
    words = [program, "--section=data", "--no-owner", "--file=-"]
    with (
        tempfile.TemporaryFile() as said,
        _started(words, stdin=dump, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        assert process.stdout is not None
        try:
            yield _Reader(process.stdout, codec).parts()
        except BaseException:
            process.kill()
            raise
        if process.wait():
            said.seek(0)
            raise unreadable(said.read())


def _started(words: list[str], **more: object) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(words, **more)  # type: ignore[call-overload, no-any-return]
    except OSError as error:
        raise DatabaseUnavailable(
            f"pg_restore cannot be started: {error.strerror}",
            where=words[0],
            hint="Install PostgreSQL's client programs.",
        ) from error


def unreadable(said: bytes) -> IntegrityError:
    words = said.decode(errors="replace").strip().splitlines()
    first = words[0].removeprefix("pg_restore: error: ") if words else "no reason given"
    return IntegrityError(
        f"pg_restore cannot read the dump: {first}",
        hint="Use one at least as new as the pg_dump that made it; see "
        "DUALMIGRATE_PG_DUMP.",
    )


class _Reader:
    """Takes apart what pg_restore prints."""

    def __init__(self, stream: IO[bytes], codec: str) -> None:
        self._stream = stream
        self._codec = codec
        self._read: list[bytes] = []

    def parts(self) -> Iterator[Rows | bytes]:
        """Yield the parts; consume the rows of one before asking for the next."""
        statements, begun = bytearray(), False
        for line in self._lines():
            if line.startswith(b"--"):
                # What comes before the first heading sets up a psql session.
                begun = begun or b"Name: " in line
                continue
            if not begun or line.startswith(b"\\") or not line.strip():
                continue
            copy = _COPY.match(line)
            if copy is None:
                statements += line
                continue
            if statements:
                yield bytes(statements)
                statements.clear()
            name = copy["table"].decode(self._codec, "surrogateescape")
            yield Rows(line, words_of(name).name(), self._rows())
        if statements:
            yield bytes(statements)

    def _lines(self) -> Iterator[bytes]:
        while batch := self._batch():
            line, self._read = batch[0], batch[1:]
            yield line

    def _rows(self) -> Iterator[bytes]:
        """Yield the lines up to the end mark, in batches."""
        while batch := self._batch():
            if _END in batch:
                end = batch.index(_END)
                self._read = batch[end + 1 :]
                yield b"".join(batch[:end])
                return
            self._read = []
            yield b"".join(batch)

    def _batch(self) -> list[bytes]:
        """Return lines that were read but not yet consumed, or read more."""
        return self._read or self._stream.readlines(_CHUNK_BYTES)
