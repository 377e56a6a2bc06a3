"""The page on trust is what its command writes, whatever figures there are."""

import json

from trust import page


def figures(title, *rows, notes=(), **provenance):
    rows = [dict(zip(("what", "tried", "failed"), row, strict=True)) for row in rows]
    return {"title": title, "command": "python x.py", "provenance": provenance, "rows": rows, "notes": list(notes)}


def test_the_page_is_what_the_command_writes():
    assert (page.DOCS / "trust.md").read_text(encoding="utf-8") == page.page(page.DOCS / "trust")


def test_all_figures_stand_in_a_fixed_order_with_their_sums(tmp_path):
    machine = {"processor": "A [processor]", "cores": 3}
    for name, found in {
        "zebra": figures("Something new", ("stripes", 0, 0)),
        "versions": figures("Versions", ("lowest", 7, 0)),
        "fuzz": figures(
            "Fuzzing", ("a|b", 30, 2), ("c", 10, 0), notes=["`a < b` became x_1 < x_2"],
            date="2026-01-02T03:04", commit="0123456789", versions={"python": "3.11"}, machine=machine,
        ),
    }.items():  # fmt: skip
        (tmp_path / f"{name}.json").write_text(json.dumps(found))
    text = page.page(tmp_path)
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Fuzzing", "## Versions", "## Something new"]
    assert "| Fuzzing | 40 inputs | 2 failed |" in text
    assert "| a\\|b | 30 | 2 | 6.7% |" in text
    assert "| stripes | 0 | 0 | - |" in text
    assert "- `a < b` became x\\_1 \\< x\\_2" in text
    assert "*Measured: 2026-01-02, commit 0123456, python 3.11, A \\[processor\\], 3 cores.*" in text


def test_figures_may_have_columns_of_their_own(tmp_path):
    found = figures("Intervals", ("slope", 2000, 96))
    found["rows"][0]["more"] = {"bias of ln": "+0.001", "range": "inside"}
    (tmp_path / "calibration.json").write_text(json.dumps(found))
    text = page.page(tmp_path)
    assert "|  | sets | missed | share | bias of ln | range |\n|---|---:|---:|---:|---:|---:|" in text
    assert "| slope | 2000 | 96 | 4.8% | +0.001 | inside |" in text


def test_many_notes_are_folded(tmp_path):
    notes = [f"note {i}" for i in range(page.MANY + 1)]
    (tmp_path / "mutation.json").write_text(json.dumps(figures("Mutants", ("all", 9, 1), notes=notes)))
    assert f"<summary>{len(notes)} notes</summary>\n\n- note 0\n" in page.page(tmp_path)
