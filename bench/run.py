"""Runs the benchmarks, prints their figures as a table, and keeps them as JSON.

Each benchmark is a module beside this one with a function ``rows()`` that returns a list
of {name, value, unit, compared_to, ratio}. It runs in a process of its own, one after the
other, so that none meets the threads or the memory of another.

    python bench/run.py [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

BENCH = Path(__file__).resolve().parent
LATEST = BENCH / "results" / "latest.json"
BENCHMARKS = (
    "bench_update",
    "bench_pixels",
    "bench_replay",
    "bench_encoder",
    "bench_convert",
    "bench_classifier",
    "bench_takeover",
    "bench_lockstep",
    "bench_loop",
    "bench_driver",
    "bench_camera",
    "bench_console",
)
KEYS = ("name", "value", "unit", "compared_to", "ratio")
LIMIT_SECONDS = 900.0

Row = dict[str, Any]


def measure(benchmark: str) -> list[Row]:
    """Runs one benchmark in its own process.

    Raises:
        RuntimeError: it failed, took too long, or returned something else than rows.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "rows.json")
        command = [sys.executable, __file__, "--rows", benchmark, str(result)]
        try:
            code = subprocess.run(command, check=False, timeout=LIMIT_SECONDS).returncode
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"took over {LIMIT_SECONDS:.0f} s") from None
        if code or not result.exists():
            raise RuntimeError(f"ended with code {code}")
        rows: list[Row] = json.loads(result.read_text())
    for row in rows:
        if set(row) != set(KEYS):
            raise RuntimeError(f"a row has {', '.join(row)}, not {', '.join(KEYS)}")
    return rows


def write_rows(benchmark: str, path: Path) -> None:
    """Writes one benchmark's rows; what the process of its own does."""
    sys.path.insert(0, str(BENCH))
    rows = importlib.import_module(benchmark).rows()
    path.write_text(json.dumps([{key: row.get(key) for key in KEYS} for row in rows]))


def table(rows: Sequence[Row]) -> Table:
    """The rows for a person to read."""
    result = Table(title="hilserl bench")
    for heading, justify in (
        ("name", "left"),
        ("value", "right"),
        ("unit", "left"),
        ("ratio", "right"),
        ("compared to", "left"),
    ):
        result.add_column(heading, justify=justify)
    for row in rows:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        value = f"{row['value']:.4g}"
        result.add_row(row["name"], value, row["unit"], ratio, str(row["compared_to"] or ""))
    return result


def keep(rows: Sequence[Row]) -> None:
    """Replaces the figures measured anew in the latest results; the others stay."""
    old: list[Row] = json.loads(LATEST.read_text()) if LATEST.exists() else []
    merged = {row["name"]: row for row in [*old, *rows]}
    LATEST.parent.mkdir(parents=True, exist_ok=True)
    aside = LATEST.with_suffix(f".{os.getpid()}.partial")
    aside.write_text(json.dumps(list(merged.values()), indent=2) + "\n")
    aside.replace(LATEST)


def main() -> int:
    """Returns the exit code: 0 where every benchmark gave its figures."""
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--rows", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rows:
        write_rows(options.rows[0], Path(options.rows[1]))
        return 0
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        print(f"error: no benchmark '{unknown[0]}', choose from: {', '.join(BENCHMARKS)}")
        return 1
    rows: list[Row] = []
    failed: list[str] = []
    for name in options.names or BENCHMARKS:
        print(f"{name} ...", flush=True)
        try:
            rows += measure(name)
        except RuntimeError as error:
            failed.append(f"{name} {error}")
    keep(rows)
    Console().print(table(rows))
    print(f"figures: {os.path.relpath(LATEST)}")
    for text in failed:
        print(f"error: {text}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
