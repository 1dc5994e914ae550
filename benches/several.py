#!/usr/bin/env python3
"""Many files against one, a thousand inputs, and appends onto small and large datasets.

    python benches/several.py --work DIR [--slaf target/release/slaf] [--runs 5]

Makes inputs in DIR (kept for the next time), runs the cases in turns, and prints a Markdown table; the numbers of every
run are left as DIR/several.json.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import measure

GENES, PER_CELL = 20_000, 1_600


def make(path, cells, first):
    """Counts in the form of anndata's CSR, gzip-compressed; quick to make rather than lifelike."""
    import h5py
    import numpy as np

    r = np.random.default_rng(first)
    steps = GENES // PER_CELL
    texts = h5py.string_dtype()
    temporary = path.with_suffix(".part")
    with h5py.File(temporary, "w") as f:
        f.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        x = f.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array([cells, GENES])})
        options = dict(compression="gzip", compression_opts=1, chunks=(min(cells * PER_CELL, 1 << 18),))
        data = x.create_dataset("data", (cells * PER_CELL,), "float32", **options)
        indices = x.create_dataset("indices", (cells * PER_CELL,), "int32", **options)
        for start in range(0, cells, 4096):
            count = min(4096, cells - start)
            rows = slice(start * PER_CELL, (start + count) * PER_CELL)
            indices[rows] = (r.integers(0, steps, (count, PER_CELL)) + np.arange(PER_CELL) * steps).ravel()
            data[rows] = np.minimum(r.geometric(0.6, count * PER_CELL), 4000)
        x.create_dataset("indptr", data=np.arange(cells + 1, dtype="int64") * PER_CELL)
        for group, prefix, count, begin in [("obs", "cell", cells, first), ("var", "gene", GENES, 0)]:
            g = f.create_group(group)
            order = np.array([], dtype=texts)
            g.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index", "column-order": order})
            names = [f"{prefix}_{number:010}" for number in range(begin, begin + count)]
            d = g.create_dataset("_index", data=np.array(names, dtype=texts))
            d.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    temporary.rename(path)


def made(path, cells, first):
    """Makes an input in a child, so that this process stays small."""
    if not path.exists():
        command = [sys.executable, __file__, "--make", path, cells, first]
        subprocess.run([str(word) for word in command], check=True)
    return path


def linked(base, copy):
    """A copy of a dataset; data files are never changed, so that links to them do."""
    shutil.rmtree(copy, ignore_errors=True)
    link = lambda a, b: os.link(a, b) if Path(a).parent.name == "data" else shutil.copy2(a, b)
    shutil.copytree(base, copy, copy_function=link)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--make", nargs=3, metavar=("PATH", "CELLS", "FIRST"), help=argparse.SUPPRESS)
    p.add_argument("--work", type=Path, help="folder of inputs (kept) and outputs (removed)")
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parents[1] / "target"))
    p.add_argument("--slaf", type=Path, default=target / "release" / "slaf", help="the program, optimised")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--json", type=Path, help="file for the numbers of every run")
    p.add_argument("--cells", type=int, default=100_000, help="cells of the one file; each of the hundred has a hundredth")
    args = p.parse_args()
    if args.make:
        return make(Path(args.make[0]), int(args.make[1]), int(args.make[2]))
    work = args.work
    many = work / f"hundred-{args.cells}"
    many.mkdir(parents=True, exist_ok=True)
    piece = args.cells // 100
    one = made(work / f"one-{args.cells}.h5ad", args.cells, 0)
    hundred = [made(many / f"{number:03}.h5ad", piece, number * piece) for number in range(100)]
    tiny = work / "thousand"
    tiny.mkdir(exist_ok=True)
    thousand = [made(tiny / f"{number:04}.h5ad", 20, 10**8 + number * 20) for number in range(1000)]
    new = made(work / "new.h5ad", 1_000, 10**9)

    bases = {}
    for copies, source in [(1, made(work / "ten-thousand.h5ad", 10_000, 0)), (10, one)]:
        cells = copies * (10_000 if copies == 1 else args.cells)
        base = bases[f"append of 1,000 cells onto {cells:,}"] = work / f"base-{cells}.slaf"
        if not (base / "config.json").exists():
            flags = ["--allow-duplicate-source", "--allow-duplicate-cells", "--no-resume"]
            measure.run([args.slaf, "convert", "-q", *[source] * copies, base, *flags])

    conversions = {
        f"one file of {args.cells:,} cells": [one],
        f"100 files of {piece:,} cells": hundred,
        "1,000 files of 20 cells": thousand,
    }
    results = {}
    output, copy = work / "out.slaf", work / "copy.slaf"
    for _ in range(args.runs):
        for name, inputs in conversions.items():
            shutil.rmtree(output, ignore_errors=True)
            results.setdefault(name, []).append(measure.run([args.slaf, "convert", "-q", *inputs, output])[0])
        shutil.rmtree(output, ignore_errors=True)
        for name, base in bases.items():
            linked(base, copy)
            results.setdefault(name, []).append(measure.run([args.slaf, "append", "-q", new, copy])[0])
            shutil.rmtree(copy)
    rows = []
    for name, runs in results.items():
        of = lambda key, scale, digits: measure.spread([run[key] / scale for run in runs], digits)
        rows.append([name, of("wall_s", 1, 2), of("cpu_s", 1, 2), of("peak_rss", measure.MIB, 0), str(len(runs))])
    print(measure.machine() + "\n")
    print(measure.table(["", "wall s", "CPU s", "peak RSS MiB", "runs"], rows))
    (args.json or work / "several.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
