#!/usr/bin/env python3
"""Measures `slaf convert` beside its roofline and the reference, all in the same run. See README.md.

    cargo build --release && cargo bench --no-run --bench roofline
    python benches/convert.py --work DIR
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from measure import MIB, add_arguments, convert, input_files, machine, newest_bench, run, spread, table

# Whoever converts with the reference waits for its imports too.
REFERENCE = """
import sys
from slaf.data import SLAFConverter
SLAFConverter().convert(sys.argv[1], sys.argv[2])
"""

# Short work is done several times over: processor seconds come in steps of a hundredth.
LEAST_NON_ZEROS = 1 << 27


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = add_arguments(parser)
    parser.add_argument("--cells", type=int, default=20000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--roofline", type=Path, help="the program (default: the newest that cargo bench built)")
    parser.add_argument("--no-slafdb", action="store_true", help="leave the reference out")
    parser.add_argument("--slafdb-runs", type=int, default=2)
    given = parser.parse_args()
    if given.roofline is None:
        given.roofline = newest_bench(parser, target, "roofline")
    return given


def main():
    given = arguments()
    files, about = input_files(given.work, given.cells, given.genes)
    non_zeros, output = about["non_zeros"], given.work / "output.slaf"

    def slaf(stored, threads, dtypes):
        flags = ["--quiet", "--threads", threads, "--dtypes", dtypes]
        return lambda: convert([given.slaf, "convert", *flags, files[stored], output], output, non_zeros)

    def slafdb(stored):
        return lambda: convert([sys.executable, "-c", REFERENCE, files[stored], output], output, non_zeros)

    def roofline(*words):
        return lambda: json.loads(run([given.roofline, *words])[1])

    passes = -(-LEAST_NON_ZEROS // non_zeros)
    rows = max(non_zeros, LEAST_NON_ZEROS)
    # What is measured: the file, the name, the dtypes, how often, and how.
    cases = {}
    for dtypes in ("narrow", "signed"):
        cases["", f"encode only, {dtypes}"] = (dtypes, given.runs, roofline("encode", rows, dtypes))
    for stored in files:
        only = "inflate" if stored == "gzip" else "read"
        cases[stored, f"{only} only"] = ("", given.runs, roofline("inflate", files[stored], passes))
        for threads, dtypes in ((1, "narrow"), (2, "narrow"), (2, "signed")):
            name = f"slaf, {dtypes}, {threads} thread{'s' * (threads > 1)}"
            cases[stored, name] = (dtypes, given.runs, slaf(stored, threads, dtypes))
        if not given.no_slafdb:
            cases[stored, "slafdb"] = ("narrow", given.slafdb_runs, slafdb(stored))

    where = machine()
    results = {case: [] for case in cases}
    for number in range(max(given.runs, given.slafdb_runs)):
        for case, (_, runs, measure) in cases.items():
            if number < runs:
                print(f"round {number + 1}: {' '.join(case)}", file=sys.stderr)
                results[case].append(measure())
    results = {case: runs for case, runs in results.items() if runs}

    rate = lambda case: statistics.median(r["non_zeros"] / r["cpu_s"] for r in results[case])
    wall = lambda case: statistics.median(r["wall_s"] for r in results[case])
    lines = []
    for case, runs in results.items():
        stored, name = case
        dtypes = cases[case][0]
        converts = name.startswith("sla")
        written = [r.get("expression_bytes", r.get("bytes_out")) / r["non_zeros"] for r in runs]
        of_roofline = than_slafdb = "–"
        if converts:
            parts = [next(c for c in results if c[0] == stored and c[1].endswith("only")), ("", f"encode only, {dtypes}")]
            of_roofline = f"{rate(case) * sum(1 / rate(part) for part in parts):.2f}"
            reference = (stored, "slafdb")
            if reference in results:
                than_slafdb = f"{rate(case) / rate(reference):.1f} / {wall(reference) / wall(case):.1f}"
        lines.append([
            f"{stored}: {name}" if stored else name,
            spread([r["non_zeros"] / r["cpu_s"] / 1e6 for r in runs], 1),
            spread([r["non_zeros"] / r["wall_s"] / 1e6 for r in runs], 1),
            spread([r["wall_s"] for r in runs], 2) if converts else "–",
            spread([r["cpu_s"] for r in runs], 2) if converts else "–",
            spread([r["cpu_s"] / r["wall_s"] for r in runs], 2),
            spread([(r["cpu_s"] + r["waited_s"]) / r["wall_s"] for r in runs], 2) if converts else "–",
            spread([r["peak_rss"] / MIB for r in runs], 0),
            "–" if name in ("inflate only", "read only") else f"{statistics.median(written):.3f}",
            of_roofline,
            than_slafdb,
            str(len(runs)),
        ])
    head = ["", "M non-zeros / CPU s", "M non-zeros / s", "wall s", "CPU s", "cores busy", "cores wanted",
            "peak RSS MiB",
            "bytes / non-zero", "of roofline", "× slafdb, CPU / wall", "runs"]
    size = ", ".join(f"{stored} {about['bytes'][stored] / MIB:.0f} MiB" for stored in files)
    print(f"{where}\n")
    print(f"{about['cells']:,} cells × {about['genes']:,} genes, {non_zeros:,} non-zeros ({about['density']:.2%}); "
          f"float32 data, int32 indices, chunks of {about['chunk']:,}; {size}\n")
    print(table(head, lines))
    to = given.json or given.work / f"convert-{given.cells}x{given.genes}.json"
    numbers = {": ".join(filter(None, case)): runs for case, runs in results.items()}
    to.write_text(json.dumps({"machine": where, "input": about, "runs": numbers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
