"""What the sample company answers has not changed unnoticed; `make golden` writes a wanted change."""

from __future__ import annotations

from tests.golden.run import EXPECTED, QUESTIONS, golden, text


def test_the_sample_answers_as_committed() -> None:
    found = golden()
    committed = {path.stem for path in EXPECTED.glob("*.json")}
    assert committed == {"documents", *QUESTIONS}, "run `make golden` and read the difference"
    changed = [name for name, value in found.items() if (EXPECTED / f"{name}.json").read_text("utf-8") != text(value)]
    assert not changed, f"run `make golden` and read the difference in {', '.join(changed)}"
