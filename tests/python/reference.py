#!/usr/bin/env python3
"""Datasets of the reference to append to, and its view of the result.

    python tests/python/reference.py inputs ONE.h5ad TWO.h5ad            # two inputs with the same genes and columns
    python tests/python/reference.py VARIANT OUT.slaf ONE.h5ad           # slafdb's own conversion of ONE
    python tests/python/reference.py check DATASET.slaf ONE.h5ad TWO.h5ad  # is it ONE, then TWO, to slafdb?

VARIANT: default; signed (int32 identifiers); layers (not chunked, which keeps layers and embeddings); several (ONE in two files, which
slafdb numbers wrongly); unnamed (without the column source_file); anndata (from memory, with layers, pairs and uns); strings (likewise, with
texts beside the numbers of cells and genes).
"""
import importlib.util, os, sys, tempfile, warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import anndata as ad
import lance
import numpy as np
import pandas as pd
import scipy.sparse as sp
from loguru import logger


def inputs(*paths):
    for number, path in enumerate(paths):
        r = np.random.default_rng(number)
        n, g = 40 + 10 * number, 30
        X = r.poisson(0.7, (n, g)).astype("float32")
        X[[3, n - 1]] = 0
        obs = pd.DataFrame(
            dict(
                grp=pd.Categorical(r.choice(["a", "b", None], n)),
                cnt=r.integers(0, 9, n),
                score=r.random(n),
                flag=r.random(n) < 0.4,
            ),
            index=[f"in{number}_{i:03}" for i in range(n)],
        )
        genes = [f"gene_{i:03}" for i in range(g)]
        # Not in the order of the first.
        order = np.arange(g) if number == 0 else r.permutation(g)
        var = pd.DataFrame(dict(symbol=[f"S{i}" for i in order]), index=[genes[i] for i in order])
        layer = np.where(r.random((n, g)) < 0.5, X, 0).astype("float32")
        a = ad.AnnData(
            sp.csr_matrix(X), obs=obs, var=var, layers=dict(spliced=sp.csr_matrix(layer)), obsm=dict(X_umap=r.random((n, 2)).astype("float32"))
        )
        a.write_h5ad(path)


def make(variant, out, path):
    from slaf.data.converter import SLAFConverter

    options = dict(signed=dict(use_optimized_dtypes=False), layers=dict(chunked=False)).get(variant, {})
    if variant in ("anndata", "strings"):
        a = ad.read_h5ad(path)
        a.obsp["near"] = sp.eye(a.n_obs, k=1, format="csr", dtype="float32")
        a.varp["like"] = sp.eye(a.n_vars, k=2, format="csr", dtype="float32")
        a.uns["made"] = dict(by="slafdb", of=[1, 2.5])
        converter = SLAFConverter(chunked=False, optimize_storage=variant == "anndata")
        return converter.convert_anndata(a, str(out))
    converter = SLAFConverter(**options)
    if variant != "several":
        converter.convert(str(path), str(out))
    else:
        a = ad.read_h5ad(path)
        with tempfile.TemporaryDirectory() as folder:
            a[:17].copy().write_h5ad(Path(folder) / "p1.h5ad")
            a[17:].copy().write_h5ad(Path(folder) / "p2.h5ad")
            converter.convert(folder, str(out))
    cells = lance.dataset(str(Path(out) / "cells.lance"))
    if variant == "unnamed" and "source_file" in cells.schema.names:
        cells.drop_columns(["source_file"])


def check_loader(s, X):
    """slafdb's training loader sees every cell that has values, once, with its values, and comes to its end."""
    import threading

    from slaf.ml.datasets import PrefetchBatchProcessor
    from slaf.ml.samplers import ShuffleType, create_shuffle

    for options in [dict(prefetch_batch_size=1000), dict(use_mixture_of_scanners=False, by_fragment=True), dict(use_mixture_of_scanners=False)]:
        frames, failures = [], []

        def load():
            try:
                loader = PrefetchBatchProcessor(s, create_shuffle(ShuffleType.RANDOM), None, verbose=False, batch_size=8, raw_mode=True, **options)
                while True:
                    frames.extend(loader.load_prefetch_batch().batch_dfs)
            except StopIteration:
                pass
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        thread.join(120)
        assert not thread.is_alive(), f"the loader does not end: {options}"
        assert not failures, f"{options}: {failures}"
        found, seen = np.zeros(X.shape), []
        for frame in frames:
            cells = frame["cell_integer_id"].to_numpy().astype(int)
            seen += sorted(set(cells))
            np.add.at(found, (cells, frame["gene_integer_id"].to_numpy().astype(int)), frame["value"].to_numpy().astype(float))
        assert sorted(seen) == [row for row in range(len(X)) if X[row].any()], f"other cells: {options}"
        assert (found == X).all(), f"other values: {options}"


def check(dataset, *paths):
    from slaf.core.slaf import SLAFArray

    parts = [ad.read_h5ad(path) for path in paths]
    s = SLAFArray(str(dataset))
    s.wait_for_metadata()
    genes = list(parts[0].var_names)
    X = np.vstack([part[:, genes].X.toarray() for part in parts])
    assert tuple(s.shape) == X.shape, f"{s.shape} is not {X.shape}"
    table = lambda name: lance.dataset(str(dataset / f"{name}.lance")).to_table().to_pandas()
    cells, rows, names = table("cells"), table("expression"), list(table("genes").gene_id)
    assert names == genes, "genes are not those of the first"
    found = np.zeros(X.shape)
    found[rows.cell_integer_id.astype(int), rows.gene_integer_id.astype(int)] = rows.value
    assert (found == X).all(), "values differ"
    ids = rows.cell_integer_id.to_numpy().astype("int64")
    assert (np.diff(ids) >= 0).all()
    starts = np.searchsorted(ids, np.arange(len(cells)))
    assert (cells.cell_start_index == starts).all(), "cell_start_index is wrong"
    assert cells.source_file.notna().all()
    n = parts[0].n_obs
    for column in ["cnt", "score", "flag"]:
        told = np.concatenate([part.obs[column] for part in parts])
        assert (cells[column].to_numpy() == told).all(), column
    assert list(cells.cell_id[:n]) == list(parts[0].obs_names)
    # As slafdb itself reads it, a cell of the old and of the new ones.
    for row in [0, n // 2, n + 5, len(X) - 2]:
        name = cells.cell_id[row]
        frame = s.get_cell_expression([name])
        frame = frame.to_pandas() if hasattr(frame, "to_pandas") else frame
        assert np.isclose(float(frame["value"].sum()), X[row].sum()), f"slafdb reads another {name}"
    assert len(s.obs) == len(X)
    if importlib.util.find_spec("torch") is not None:
        check_loader(s, X)
    print("ok")


def main():
    logger.remove()
    what, *paths = sys.argv[1:]
    paths = [Path(path) for path in paths]
    {"inputs": inputs, "check": check}.get(what, lambda *a: make(what, *a))(*paths)
    sys.stdout.flush()
    # A loader that hangs leaves threads behind, for which an ordinary end would wait.
    os._exit(0)


if __name__ == "__main__":
    main()
