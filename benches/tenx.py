#!/usr/bin/env python3
"""Measures `slaf convert` of 10x matrices beside inflating alone, the reference, and scanpy with the reference.

    cargo build --release && cargo bench --no-run --bench roofline
    python benches/tenx.py --work DIR                      # 5,000 and 20,000 cells × 20,000 genes

See README.md for the columns. Where the reference cannot read a format, scanpy reads it (`read_10x_mtx`, `read_10x_h5`)
writes an h5ad, and the reference converts that.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import tenx_inputs
from measure import HERE, MIB, add_arguments, convert, machine, run, spread, table

# What Python programs took without the start of Python and their imports, which are some seconds.
REFERENCE = """
import json, sys, time
import scanpy
from slaf.data import SLAFConverter
source, output, reader = sys.argv[1:]
wall, cpu = time.perf_counter(), time.process_time()
if reader == "slafdb":
    SLAFConverter().convert(source, output)
else:
    read = scanpy.read_10x_mtx if reader == "mtx" else scanpy.read_10x_h5
    cells = read(source)
    cells.var_names_make_unique()
    cells.write_h5ad(output + ".h5ad")
    SLAFConverter().convert(output + ".h5ad", output)
took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
print("\\n" + json.dumps(took))
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = add_arguments(parser)
    parser.add_argument("--cells", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--roofline", type=Path, help="the program (default: the newest that cargo bench built)")
    parser.add_argument("--no-reference", action="store_true", help="leave slafdb and scanpy out")
    parser.add_argument("--reference-runs", type=int, default=2)
    given = parser.parse_args()
    if given.roofline is None:
        built = [path for path in (target / "release" / "deps").glob("roofline-*") if not path.suffix]
        given.roofline = max(built, key=lambda path: path.stat().st_mtime, default=None)
    return given


def input_files(work, cells, genes):
    work.mkdir(parents=True, exist_ok=True)
    files, description = tenx_inputs.paths(work, cells, genes)
    if not description.exists():
        print(f"making {cells} × {genes} counts", file=sys.stderr)
        command = [sys.executable, HERE / "tenx_inputs.py", "--cells", cells, "--genes", genes, "--work", work]
        subprocess.run([str(word) for word in command], check=True)
    return files, json.loads(description.read_text())


def measure(given, cells):
    files, about = input_files(given.work, cells, given.genes)
    non_zeros, output = about["non_zeros"], given.work / "output.slaf"

    def slaf(kind, threads):
        command = [given.slaf, "convert", "--quiet", "--threads", threads, files[kind], output]
        return lambda: convert(command, output, non_zeros)

    def reference(kind, reader):
        return lambda: convert([sys.executable, "-c", REFERENCE, files[kind], output, reader], output, non_zeros, True)

    def inflate(kind):
        if kind == "h5":
            command = [given.roofline, "inflate", files["h5"]]
        else:
            command = [given.roofline, "gunzip", files["mtx"] / "matrix.mtx.gz"]
        return lambda: json.loads(run(command)[1]) | {"non_zeros": non_zeros}

    cases = {}
    for kind in files:
        if given.roofline is not None:
            cases[kind, "inflate only"] = (given.runs, inflate(kind))
        for threads in (1, 2):
            cases[kind, f"slaf, {threads} thread{'s' * (threads > 1)}"] = (given.runs, slaf(kind, threads))
        if not given.no_reference:
            cases[kind, "slafdb"] = (given.reference_runs, reference(kind, "slafdb"))
            cases[kind, "scanpy + slafdb"] = (given.reference_runs, reference(kind, kind))
    results = {case: [] for case in cases}
    failed = {}
    for number in range(max(given.runs, given.reference_runs)):
        for case, (runs, measured) in cases.items():
            if number < runs and case not in failed:
                print(f"round {number + 1}: {' '.join(case)}", file=sys.stderr)
                try:
                    results[case].append(measured())
                except SystemExit as error:  # the reference cannot read everything
                    if "slafdb" not in case[1]:
                        raise
                    failed[case] = str(error).strip().splitlines()[-1][:100]

    rate = lambda case: statistics.median(r["non_zeros"] / r["cpu_s"] for r in results[case])
    wall = lambda case: statistics.median(r["wall_s"] for r in results[case])
    lines = []
    for case, runs in results.items():
        kind, name = case
        if case in failed:
            lines.append([f"{kind}: {name}", f"fails: {failed[case]}"] + ["–"] * 8)
            continue
        converts = name != "inflate only"
        than = lambda other: f"{rate(case) / rate(other):.2f} / {wall(other) / wall(case):.2f}" if results.get(other) else "–"
        lines.append([
            f"{kind}: {name}",
            spread([r["non_zeros"] / r["cpu_s"] / 1e6 for r in runs], 1),
            spread([r["non_zeros"] / r["wall_s"] / 1e6 for r in runs], 1),
            spread([r["wall_s"] for r in runs], 2),
            spread([r["cpu_s"] for r in runs], 2),
            spread([r["peak_rss"] / MIB for r in runs], 0),
            than((kind, "inflate only")) if converts else "–",
            than((kind, "slafdb")) if converts else "–",
            than((kind, "scanpy + slafdb")) if converts else "–",
            str(len(runs)),
        ])
    head = ["", "M non-zeros / CPU s", "M non-zeros / s", "wall s", "CPU s", "peak RSS MiB", "× inflate, CPU / wall",
            "× slafdb", "× scanpy + slafdb", "runs"]
    print(f"{about['cells']:,} cells × {about['genes']:,} genes, {non_zeros:,} non-zeros; matrix.mtx.gz "
          f"{about['bytes']['mtx'] / MIB:.0f} MiB ({about['text'] / MIB:.0f} MiB of text), H5 {about['bytes']['h5'] / MIB:.0f} MiB\n")
    print(table(head, lines) + "\n")
    return {"input": about, "failed": {": ".join(case): why for case, why in failed.items()},
            "runs": {": ".join(case): runs for case, runs in results.items()}}


def main():
    given = arguments()
    where = machine()
    print(f"{where}\n")
    numbers = {cells: measure(given, cells) for cells in given.cells}
    to = given.json or given.work / "tenx.json"
    to.write_text(json.dumps({"machine": where, "numbers": numbers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
