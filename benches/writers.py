#!/usr/bin/env python3
"""Measures how Lance's writers scale: one or several at once, while one or more threads of Lance encode. See README.md.

    cargo bench --no-run --bench roofline
    python benches/writers.py --work DIR
"""

import argparse
import json
import os
import sys
from pathlib import Path

from measure import MIB, add_arguments, machine, newest_bench, run, spread, table

ROWS = 1 << 26
CASES = [(1, 1), (1, 2), (2, 1), (2, 2), (4, 2)]  # writers, threads


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = add_arguments(parser)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--roofline", type=Path, help="the program (default: the newest that cargo bench built)")
    given = parser.parse_args()
    if given.roofline is None:
        given.roofline = newest_bench(parser, target, "roofline")
    results = {}
    for number in range(given.runs):
        for kind in ("narrow", "signed"):
            for writers, threads in CASES:
                print(f"round {number + 1}: {kind}, {writers} writers, {threads} threads", file=sys.stderr)
                os.environ["LANCE_CPU_THREADS"] = str(threads)
                told = json.loads(run([given.roofline, "encode", ROWS, kind, writers])[1].splitlines()[-1])
                results.setdefault((kind, writers, threads), []).append(told)
    lines = [
        [
            kind,
            str(writers),
            str(threads),
            spread([took["non_zeros"] / took["wall_s"] / 1e6 for took in runs], 0),
            spread([took["non_zeros"] / took["cpu_s"] / 1e6 for took in runs], 0),
            spread([took["cpu_s"] / took["wall_s"] for took in runs], 2),
            spread([took["peak_rss"] / MIB for took in runs], 0),
        ]
        for (kind, writers, threads), runs in results.items()
    ]
    where = machine()
    print(f"{where}\n")
    head = ["", "writers", "threads", "M rows / s", "M rows / CPU s", "cores busy", "peak RSS MiB"]
    print(table(head, lines))
    to = given.json or given.work / "writers.json"
    numbers = [{"case": case, "runs": runs} for case, runs in results.items()]
    to.write_text(json.dumps({"machine": where, "cases": numbers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
