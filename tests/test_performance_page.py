"""The page on performance: written from the output of a benchmark, its exponents those of the numbers given."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "performance.py"


@pytest.fixture
def performance():
    spec = importlib.util.spec_from_file_location("performance_page", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(name, median, **info):
    return {
        "name": name,
        "fullname": f"tests/benchmarks/test_file.py::{name}",
        "stats": {"median": median, "rounds": 7},
        "extra_info": info,
        "options": {"timer": "process_time"},
    }


def test_the_page_is_written_from_the_numbers(performance, tmp_path):
    points = [
        entry(f"test_x[{v}]", 1e-3 * v**1.5, curve="something", against="v", value=v) for v in (4, 8, 16, 32, 2)
    ]
    # the first point lies off the line, which the last three set
    points[-1]["stats"]["median"] = 1.0
    data = {
        "machine_info": {"cpu": {"brand_raw": "A processor", "count": 3}, "python_version": "3.11", "machine": "x"},
        "datetime": "2026-01-02T03:04:05",
        "benchmarks": [entry("test_some_work", 0.25, rate=1234567), *points],
    }
    ratios = {"step": [2.0, 2.5, 2.625], "evaluation": [3, 4, 5]}
    rows = [
        [name, replicas, threads, [1, factor * 2e-3 * threads / replicas, 3]]
        for name, factor in (("small", 1), ("small, plain, by torch.func", 3))
        for replicas, threads in ((1, 1), (4, 1), (1, 2))
    ]
    later = data | {
        "benchmarks": [
            entry("test_some_work", 0.125, rate=7654321),
            entry("test_plain", 1.0, table="plain", network="small", rounds=11, ratios=ratios),
            entry("test_replicas", 1.0, table="replicas", rounds=7, rows=rows),
        ]
    }
    paths = [tmp_path / "benchmark.json", tmp_path / "later.json"]
    for path, content in zip(paths, (data, later), strict=True):
        path.write_text(json.dumps(content))
    performance.main(paths, tmp_path)
    page = (tmp_path / "performance.md").read_text()
    assert "A processor (3 cores), Python 3.11, on 2026-01-02" in page
    assert "medians of processor time" in page
    assert "| some work | 125 ms | 7 | rate: 7.65e+06 |" in page
    assert "250 ms" not in page
    assert "| small | 2.50 (2.00 to 2.62) | 4.00 (3.00 to 5.00) | 11 |" in page
    assert "| network | 1 replica | 4 replicas | 1 replica, 2 threads |" in page
    assert "| small | 2 | 0.5 | 4 |" in page
    assert "For small the plain form" in page
    assert "parentheses): 3.0 (1), 3.0 (4)." in page
    assert "| something | 1.50 |" in page
    figure = (tmp_path / "performance.svg").read_bytes()
    performance.main(paths, tmp_path)
    assert (tmp_path / "performance.svg").read_bytes() == figure


@pytest.mark.parametrize(("seconds", "words"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4e-7, "0.4 µs")])
def test_times_in_words(performance, seconds, words):
    assert performance.in_words(seconds) == words
