#!/usr/bin/env python3
"""Queries of one gene and of 100 cells, beside a raw scan of a column, DuckDB over pylance, and slafdb.

    python benches/query.py --work DIR [--cells 5000] [--genes 20000] [--runs 3] [--slaf target/release/slaf]

All runs are processes of their own but for the import of Python packages, which is left out of their times. CPU
seconds are those of the whole process. Prints Markdown.
"""
import argparse, json, resource, subprocess, sys, time
from pathlib import Path

import numpy as np

PYTHON = r'''
import json, resource, sys, time
import duckdb, lance, pyarrow as pa
what, dataset, gene, cells = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4]
if what == "slafdb":
    from slaf import SLAFArray
expression, genes, cells_ = (f"{dataset}/{t}.lance" for t in ("expression", "genes", "cells"))
cpu = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
begun, spent = time.perf_counter(), cpu()
if what == "column":
    for batch in lance.dataset(expression).to_batches(columns=["gene_integer_id"]):
        pass
elif what in ("duckdb_gene", "duckdb_cells"):
    c = duckdb.connect()
    c.register("e", lance.dataset(expression)); c.register("g", lance.dataset(genes).to_table()); c.register("c", lance.dataset(cells_).to_table(columns=["cell_id", "cell_type", "cell_integer_id"]))
    if what == "duckdb_gene":
        c.execute(f"SELECT cell_type, sum(value) FROM e JOIN g USING (gene_integer_id) JOIN c USING (cell_integer_id) WHERE gene_id = '{gene}' GROUP BY 1").fetchall()
    else:
        c.execute(f"SELECT * FROM e JOIN c USING (cell_integer_id) WHERE cell_integer_id BETWEEN {cells} AND {cells} + 99").fetchall()
elif what == "pylance_gene":
    number = lance.dataset(genes).to_table(filter=f"gene_id = '{gene}'")["gene_integer_id"][0].as_py()
    lance.dataset(expression).to_table(filter=f"gene_integer_id = {number}")
elif what == "slafdb":
    array = SLAFArray(dataset)
    array.query(f"SELECT c.cell_type, sum(e.value) AS s FROM expression e JOIN genes g ON e.gene_integer_id = g.gene_integer_id JOIN cells c ON e.cell_integer_id = c.cell_integer_id WHERE g.gene_id = '{gene}' GROUP BY c.cell_type")
print("\n" + json.dumps([time.perf_counter() - begun, cpu() - spent]))
'''


def inputs(work, cells, genes):
    import anndata as ad, pandas as pd, scipy.sparse as sp

    path = work / f"query_{cells}_{genes}.h5ad"
    if path.exists():
        return path
    rng = np.random.default_rng(0)
    share = rng.gamma(0.3, 1, genes)
    share /= share.sum()
    found = [np.bincount(rng.choice(genes, rng.integers(3000, 6000), p=share), minlength=genes) for _ in range(cells)]
    x = sp.vstack([sp.csr_matrix(row.astype(np.float32)) for row in found]).tocsr()
    obs = pd.DataFrame({"cell_type": rng.choice([f"type{i}" for i in range(12)], cells)}, index=[f"cell{i}" for i in range(cells)])
    ad.AnnData(x, obs, pd.DataFrame(index=[f"GENE{i}" for i in range(genes)])).write_h5ad(path)
    return path


def process(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        return None
    return [wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime]


def python(*arguments):
    run = subprocess.run([sys.executable, "-c", PYTHON, *map(str, arguments)], capture_output=True, text=True)
    return json.loads(run.stdout.strip().splitlines()[-1]) if run.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--slaf", default="target/release/slaf")
    for name, default in (("cells", 5000), ("genes", 20000), ("runs", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    source = inputs(given.work, given.cells, given.genes)
    gene, first = "GENE7", given.cells // 5
    rows = []
    for kind in ("narrow", "signed"):
        dataset = source.with_suffix(f".{kind}.slaf")
        if not dataset.exists():
            subprocess.run([given.slaf, "convert", "-q", "--dtypes", kind, source, dataset], check=True)
        ask = lambda sql: lambda: process([given.slaf, "query", dataset, sql, "-o", given.work / "out.tsv", "--overwrite"])
        tasks = {
            "slaf: start-up (SELECT 1)": ask("SELECT 1"),
            "slaf: one gene by type": ask(f"SELECT cell_type, sum(value) FROM x JOIN cells USING (cell_id) WHERE gene_id = '{gene}' GROUP BY cell_type"),
            "slaf: 100 cells, all genes": ask(f"SELECT * FROM expression WHERE cell_integer_id BETWEEN {first} AND {first} + 99"),
            "pylance: the gene column alone": lambda: python("column", dataset, gene, first),
            "pylance: rows of one gene": lambda: python("pylance_gene", dataset, gene, first),
            "DuckDB over pylance: one gene by type": lambda: python("duckdb_gene", dataset, gene, first),
            "DuckDB over pylance: 100 cells": lambda: python("duckdb_cells", dataset, gene, first),
            "slafdb: one gene by type": lambda: python("slafdb", dataset, gene, first),
        }
        measured = {name: [] for name in tasks}
        for _ in range(given.runs):  # in turns, so that a load of the machine is shared
            for name, task in tasks.items():
                measured[name].append(task())
        for name, runs in measured.items():
            done = [run for run in runs if run]
            best = [min(run[i] for run in done) for i in (0, 1)] if done else None
            rows.append((kind, name, best))
    print("| types | what | wall s | CPU s |\n|---|---|---:|---:|")
    for kind, name, best in rows:
        print(f"| {kind} | {name} | " + (f"{best[0]:.3f} | {best[1]:.3f} |" if best else "fails | |"))
    (given.work / "query.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
