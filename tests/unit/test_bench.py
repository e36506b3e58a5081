"""The measurements: that their modules load, and that their arithmetic is right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import bson
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

import bench
from bench.backfill import a_document
from bench.measure import (
    Act,
    Comparison,
    Contender,
    Footprint,
    Timing,
    ratio,
    take_turns,
)
from bench.report import as_json, as_text, seconds
from bench.runner import BENCHMARKS, main
from bench.tables import models
from bench.trees import changes, write_pairs
from flask_dualmigrate.revisions import BackendName
from flask_dualmigrate.tree.directory import ScriptDirectory

MODULES = sorted(path.stem for path in Path(bench.__path__[0]).glob("*.py"))

OURS = Timing("ours", (3.0, 2.0, 8.0), ours=True)
PEER = Timing("peer", (1.0, 2.0, 2.0))


@pytest.mark.parametrize("name", MODULES)
def test_each_module_can_be_imported(name: str) -> None:
    import_module(f"bench.{name}")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_has_the_name_of_its_file(name: str) -> None:
    assert BENCHMARKS[name] is import_module(f"bench.{name}").run


def test_a_timing_has_median_minimum_and_maximum() -> None:
    assert (OURS.median_s, OURS.fastest_s, OURS.slowest_s) == (3.0, 2.0, 8.0)


def test_the_median_of_an_even_number_of_rounds_is_the_mean_of_the_middle_two() -> None:
    assert Timing("ours", (1.0, 4.0, 2.0, 9.0)).median_s == 3.0


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    # 3, 1 and 4; the ratio of the two medians would be 1.5.
    assert ratio(OURS, PEER) == 3.0


def test_timings_of_different_rounds_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio(OURS, Timing("peer", (1.0, 2.0)))


class Recorder:
    """Contenders that say what happens to them."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def contender(self, name: str, *, share: float = 1.0) -> Contender:
        @contextmanager
        def arrange() -> Iterator[Act]:
            self.log.append(f"make {name} ready")
            yield lambda: self.log.append(name)
            self.log.append(f"tidy {name} up")

        return Contender(name, arrange, share=share)

    def acts(self) -> list[str]:
        return [entry for entry in self.log if " " not in entry]


def test_contenders_take_turns_and_each_round_begins_with_another_one() -> None:
    recorder = Recorder()

    take_turns([recorder.contender(name) for name in "AB"], rounds=3)

    assert recorder.acts() == ["B", "A", "A", "B", "B", "A", "A", "B"]


def test_the_first_round_does_not_count() -> None:
    (timing,) = take_turns([Recorder().contender("A")], rounds=3)

    assert len(timing.times_s) == 3


def test_each_turn_is_made_ready_and_tidied_up() -> None:
    recorder = Recorder()

    take_turns([recorder.contender("A")], rounds=1)

    assert recorder.log == ["make A ready", "A", "tidy A up"] * 2


def test_a_part_of_the_job_is_scaled_up_to_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("bench.measure.time.perf_counter", lambda: next(clock))

    (timing,) = take_turns([Recorder().contender("A", share=0.01)], rounds=2)

    assert timing.times_s == (100.0, 100.0)


def test_speed_is_told_in_documents_a_second() -> None:
    comparison = Comparison("backfill", "a job", (OURS, PEER), documents=600)

    assert comparison.speed(OURS) == 200.0


def test_a_table_tells_medians_extremes_and_ratios_in_words() -> None:
    comparison = Comparison("at_head", "a job", (OURS, PEER))

    assert as_text(comparison).splitlines() == [
        "at_head: a job (3 rounds)",
        "  ours  median 3.00 s  (2.00 s to 8.00 s)",
        "  peer  median 2.00 s  (1.00 s to 2.00 s)",
        "  ours takes 3.00 times as long as peer",
    ]


def test_a_table_of_documents_tells_throughput_and_what_was_needed() -> None:
    needed = Footprint(3 * 2**19, 100 * 2**20, 0.4)
    ours = Timing("ours", (2.0,), ours=True, footprint=needed)
    peer = Timing("peer", (1.0,))
    comparison = Comparison("backfill", "a job", (ours, peer), documents=1000)

    assert as_text(comparison).splitlines()[1:] == [
        "  ours  median 2.00 s  (2.00 s to 2.00 s)  500 documents/s    "
        "memory +1.5 to 100 MiB  longest transaction 400 ms",
        "  peer  median 1.00 s  (1.00 s to 1.00 s)  1,000 documents/s",
        "  ours has 0.50 times the throughput of peer",
    ]


def test_json_has_each_time_and_the_ratio_to_each_peer() -> None:
    comparison = Comparison("at_head", "a job", (OURS, PEER))

    told = json.loads(as_json([comparison], {"CPUs": "2"}))

    ours, peer = told["comparisons"][0]["contenders"]
    assert told["machine"] == {"CPUs": "2"}
    assert (ours["times_s"], ours["time_of_ours"]) == ([3.0, 2.0, 8.0], {})
    assert (peer["median_s"], peer["time_of_ours"]) == (2.0, {"ours": 3.0})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00123, "1.23 ms"),
        (0.0123, "12.3 ms"),
        (0.123, "123 ms"),
        (1.234, "1.23 s"),
        (123.4, "123 s"),
    ],
)
def test_a_time_is_told_to_three_digits(value: float, text: str) -> None:
    assert seconds(value) == text


def test_a_document_of_the_backfill_has_300_bytes() -> None:
    assert len(bson.encode(a_document(7))) == 300


def test_the_revisions_form_one_line_of_pairs(tmp_path: Path) -> None:
    for side in BackendName:
        (tmp_path / side / "versions").mkdir(parents=True)
    write_pairs(tmp_path, 7)

    directory = ScriptDirectory(tmp_path, tuple(BackendName))

    ids = [change.revision for change in changes(7)]
    assert [revision.id for revision in directory.topological()] == ids
    assert directory.pair_problems() == ()


def test_the_changed_models_are_those_asked_for() -> None:
    tables = models(12, changed=(3, 7)).sorted_tables
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    sources = [str(CreateTable(table).compile(dialect=dialect)) for table in tables]

    changed = {table.name for table in tables if "status" in table.columns}
    assert len(sources) == 12
    assert changed == {"table_3", "table_7"}


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["at_tail"])

    assert stop.value.code == 2
    assert "at_tail" in capsys.readouterr().err
