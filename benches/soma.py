#!/usr/bin/env python3
"""Measures reading and converting a SOMA experiment beside tiledbsoma, all in the same run. See README.md.

    cargo build --release && cargo bench --no-run --bench read
    pip install -r fixtures/requirements_soma.txt
    python benches/soma.py --work DIR
"""

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path

from measure import MIB, add_arguments, convert, input_files, machine, newest_bench, run, spread, table

# tiledbsoma tells what it took without the start of Python and its imports; its peak memory is less that of the imports.
READ = """
import json, resource, sys, time
import tiledbsoma, tiledbsoma.io
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before, wall, cpu = peak(), time.perf_counter(), time.process_time()
with tiledbsoma.open(sys.argv[1]) as experiment:
    matrix = experiment.ms["RNA"].X["data"]
    if sys.argv[2] != "anndata":
        experiment.obs.read().concat()
    if sys.argv[2] == "tables":
        entries = sum(len(table) for table in matrix.read().tables())
    elif sys.argv[2] == "rows":
        entries = sum(rows.nnz for rows, _ in matrix.read().blockwise(axis=0).scipy())
    else:
        entries = tiledbsoma.io.to_anndata(experiment, "RNA").X.nnz
took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "imports": before}
print(json.dumps(took | {"non_zeros": entries, "peak_rss": peak()}))
"""

MAKE = """
import sys
import tiledbsoma.io
tiledbsoma.io.from_h5ad(sys.argv[2], sys.argv[1], measurement_name="RNA")
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = add_arguments(parser)
    parser.add_argument("--cells", type=int, default=20000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--read", type=Path, help="the program (default: the newest that cargo bench built)")
    given = parser.parse_args()
    if given.read is None:
        given.read = newest_bench(parser, target, "read")
    files, about = input_files(given.work, given.cells, given.genes)
    experiment = files["plain"].with_suffix(".soma")
    if not experiment.exists():
        print(f"making {experiment.name}", file=sys.stderr)
        making = experiment.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        run([sys.executable, "-c", MAKE, files["plain"], making])
        making.rename(experiment)
    output, non_zeros = given.work / "output.slaf", about["non_zeros"]

    def told(*command):
        took, printed = run(command)
        took |= json.loads(printed.splitlines()[-1])
        if took["non_zeros"] != non_zeros:
            raise SystemExit(f"{took['non_zeros']} entries were read instead of {non_zeros}")
        return took

    cases = {
        "tiledbsoma, tables": lambda: told(sys.executable, "-c", READ, experiment, "tables"),
        "tiledbsoma, rows": lambda: told(sys.executable, "-c", READ, experiment, "rows"),
        "tiledbsoma, to_anndata": lambda: told(sys.executable, "-c", READ, experiment, "anndata"),
        "slaf, read, 1 thread": lambda: told(given.read, experiment, 1),
        "slaf, read, 2 threads": lambda: told(given.read, experiment, 2),
        "slaf convert, 2 threads": lambda: convert(
            [given.slaf, "convert", "--quiet", "--threads", 2, experiment, output], output, non_zeros
        ),
    }
    where = machine()
    results = {name: [] for name in cases}
    for number in range(given.runs):
        for name, measure in cases.items():
            print(f"round {number + 1}: {name}", file=sys.stderr)
            results[name].append(measure())
    middle = lambda name, key: statistics.median(took[key] for took in results[name])
    own = lambda took: took["peak_rss"] - took.get("imports", 0)
    reference = "tiledbsoma, tables"
    lines = [
        [
            name,
            spread([took["non_zeros"] / took["cpu_s"] / 1e6 for took in runs], 1),
            spread([took["wall_s"] for took in runs], 2),
            spread([took["cpu_s"] for took in runs], 2),
            spread([own(took) / MIB for took in runs], 0),
            f"{middle(reference, 'cpu_s') / middle(name, 'cpu_s'):.1f}",
            f"{statistics.median(map(own, results[reference])) / statistics.median(map(own, runs)):.1f}",
        ]
        for name, runs in results.items()
    ]
    size = sum(path.stat().st_size for path in experiment.rglob("*") if path.is_file()) / MIB
    print(f"{where}\n")
    print(f"{about['cells']:,} cells × {about['genes']:,} genes, {non_zeros:,} non-zeros; {size:.0f} MiB\n")
    print(table(["", "M non-zeros / CPU s", "wall s", "CPU s", "peak RSS MiB", "× less CPU", "× less memory"], lines))
    to = given.json or given.work / "soma.json"
    to.write_text(json.dumps({"machine": where, "runs": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
