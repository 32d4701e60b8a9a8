"""Writes the expected files anew: `make golden`. Read the difference before committing it."""

from __future__ import annotations

from tests.golden.run import EXPECTED, golden, text


def main() -> None:
    EXPECTED.mkdir(exist_ok=True)
    found = golden()
    for path in EXPECTED.glob("*.json"):
        if path.stem not in found:
            path.unlink()
    for name, value in found.items():
        (EXPECTED / f"{name}.json").write_text(text(value), "utf-8")
    print(f"{len(found)} files in {EXPECTED}")


if __name__ == "__main__":
    main()
