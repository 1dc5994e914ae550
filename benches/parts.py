#!/usr/bin/env python3
"""Measures what a matrix sorted by gene, layers and embeddings, and verification cost, beside a plain conversion in the
same run. See README.md.

    cargo build --release
    python benches/parts.py --work DIR
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from measure import MIB, add_arguments, convert, input_files, machine, run, spread, table

# Makes the files of this bench from the one of convert.py.
MAKE = """
import sys
import anndata as ad, numpy as np
plain, csc, layered = sys.argv[1:]
a = ad.read_h5ad(plain)
a.X = a.X.tocsc()
a.write_h5ad(csc + ".part", compression="gzip")
import os; os.rename(csc + ".part", csc)
a.X = a.X.tocsr()
random = np.random.default_rng(1)
half = a.X.copy(); half.data[random.random(half.nnz) < 0.5] = 0; half.eliminate_zeros()
rest = (a.X - half).tocsr(); rest.eliminate_zeros()
a.layers["spliced"], a.layers["unspliced"] = half, rest
a.obsm["X_pca"] = random.normal(size=(a.n_obs, 50)).astype("float32")
a.write_h5ad(layered + ".part", compression="gzip")
os.rename(layered + ".part", layered)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--cells", type=int, default=20000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    files, about = input_files(given.work, given.cells, given.genes)
    non_zeros, output = about["non_zeros"], given.work / "parts.slaf"
    csc, layered = (files["gzip"].with_name(f"{files['gzip'].stem}-{name}.h5ad") for name in ("csc", "layered"))
    if not layered.exists():
        print("making the file sorted by gene and the one with layers", file=sys.stderr)
        subprocess.run([sys.executable, "-c", MAKE, files["plain"], csc, layered], check=True)

    kept = given.work / "kept.slaf"
    shutil.rmtree(kept, ignore_errors=True)
    run([given.slaf, "convert", "--quiet", files["gzip"], kept])

    def slaf(path, threads, *flags):
        command = [given.slaf, "convert", "--quiet", "--threads", threads, *flags, path, output]
        return lambda: convert(command, output, non_zeros)

    def verify(threads, *flags):
        command = [given.slaf, "verify", "--quiet", "--threads", threads, kept, *flags]
        return lambda: run(command)[0] | {"non_zeros": non_zeros}

    cases = {}
    for threads in (1, 2):
        many = f", {threads} thread{'s' * (threads > 1)}"
        cases[f"by cell{many}"] = (f"by cell{many}", slaf(files["gzip"], threads))
        cases[f"by gene{many}"] = (f"by cell{many}", slaf(csc, threads))
        cases[f"with two layers and obsm{many}"] = (f"by cell{many}", slaf(layered, threads))
        cases[f"verify{many}"] = (f"by cell{many}", verify(threads))
        cases[f"verify against the input{many}"] = (f"by cell{many}", verify(threads, "--against", files["gzip"]))
    where = machine()
    results = {case: [] for case in cases}
    for number in range(given.runs):
        for case, (_, measure) in cases.items():
            print(f"round {number + 1}: {case}", file=sys.stderr)
            results[case].append(measure())
    middle = lambda case, key: statistics.median(r[key] for r in results[case])
    lines = []
    for case, runs in results.items():
        base = cases[case][0]
        ratio = lambda key: f"{middle(case, key) / middle(base, key):.2f}"
        lines.append([
            case,
            spread([r["wall_s"] for r in runs], 2),
            spread([r["cpu_s"] for r in runs], 2),
            spread([r["peak_rss"] / MIB for r in runs], 0),
            f"{ratio('cpu_s')} / {ratio('wall_s')}",
        ])
    print(f"{where}\n")
    print(f"{about['cells']:,} cells × {about['genes']:,} genes, {non_zeros:,} non-zeros, gzip; {given.runs} runs\n")
    print(table(["", "wall s", "CPU s", "peak RSS MiB", "× by cell, CPU / wall"], lines))
    to = given.json or given.work / "parts.json"
    to.write_text(json.dumps({"machine": where, "input": about, "runs": results}, indent=1) + "\n")
    shutil.rmtree(kept)


if __name__ == "__main__":
    main()
