#!/usr/bin/env python3
"""Measures the peak memory of `slaf convert` at two sizes, with settings as they are by default. See README.md.

    python benches/memory.py --work DIR
"""

import argparse
import json
import statistics
import sys

from measure import MIB, add_arguments, convert, input_files, machine, spread, table


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--cells", type=int, nargs="+", default=[20000, 200000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--flags", default="", help='flags of "slaf convert" to add, such as "--memory=256MiB"')
    given = parser.parse_args()
    output = given.work / "output.slaf"
    inputs = {cells: input_files(given.work, cells, given.genes) for cells in given.cells}
    results = {}
    for number in range(given.runs):
        for cells, (files, about) in inputs.items():
            for stored, path in files.items():
                for dtypes in ("narrow", "signed"):
                    print(f"round {number + 1}: {cells} cells, {stored}, {dtypes}", file=sys.stderr)
                    flags = ["--quiet", "--dtypes", dtypes, *given.flags.split()]
                    took = convert([given.slaf, "convert", *flags, path, output], output, about["non_zeros"])
                    results.setdefault((stored, dtypes), {}).setdefault(cells, []).append(took)
    lines = []
    for (stored, dtypes), by_cells in results.items():
        peaks = {cells: [r["peak_rss"] / MIB for r in runs] for cells, runs in by_cells.items()}
        middle = [statistics.median(values) for values in peaks.values()]
        lines.append([f"{stored}, {dtypes}", *(spread(values, 0) for values in peaks.values()), f"{middle[-1] / middle[0]:.2f}"])
    where = machine()
    print(f"{where}\n")
    for cells, (_, about) in inputs.items():
        print(f"{cells:,} cells × {about['genes']:,} genes: {about['non_zeros']:,} non-zeros  ")
    print()
    head = ["peak RSS MiB", *(f"{cells:,} cells" for cells in given.cells), "last / first"]
    print(table(head, lines))
    to = given.json or given.work / "memory.json"
    numbers = {f"{stored}, {dtypes}": by_cells for (stored, dtypes), by_cells in results.items()}
    to.write_text(json.dumps({"machine": where, "runs": numbers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
