#!/usr/bin/env python3
"""Does slafdb itself get the right answers from a dataset? Runs the interoperability battery.

    python tests/python/battery.py --make FILE.h5ad                      # an input on which every check means something
    slaf convert FILE.h5ad DATASET.slaf --dtypes signed
    python tests/python/battery.py --check DATASET.slaf --input FILE.h5ad
    python tests/python/battery.py --reference OUT.slaf FILE.h5ad        # slafdb's own conversion, to compare with

--check prints a line for every failing check, then `passed N of M`, and exits 0 whatever N is (--at-least N: exits 1
below N). The checks themselves are in slafdb_battery.py.
"""
import argparse, importlib.util, os, sys, warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp


def make(path):
    """60 cells x 40 genes. What the battery's checks need: cell 3 has values (query_where), some values are above 2,
    the cells 10-12, 25 and the last are empty (they own no row of the expression table), every gene occurs (its
    filters and means are not all zero), every group and both flags occur."""
    r = np.random.default_rng(20)
    n, g = 60, 40
    X = r.poisson(r.gamma(0.5, 3.0, g), (n, g)).astype("float32")
    X[np.arange(g) % n, np.arange(g)] += 1
    X[3, [0, 1, 5]] = [2, 7, 300]
    X[[10, 11, 12, 25, n - 1]] = 0
    assert X.any(0).all() and X[3].any() and (X > 2).any() and X.any(1).sum() == n - 5
    obs = pd.DataFrame(
        dict(grp=pd.Categorical(r.choice(list("abc"), n)), cnt=r.integers(0, 12, n), score=r.random(n).round(4) * 5, flag=r.random(n) < 0.4),
        index=[f"cell_{i:03}" for i in range(n)],
    )
    var = pd.DataFrame(dict(symbol=[f"S{i}" for i in range(g)]), index=[f"gene_{i:03}" for i in range(g)])
    spliced = np.where(r.random((n, g)) < 0.5, X, 0).astype("float32")
    smooth = (r.random((n, g)) * (r.random((n, g)) < 0.3)).astype("float32")
    a = ad.AnnData(
        sp.csr_matrix(X),
        obs=obs,
        var=var,
        layers=dict(spliced=sp.csr_matrix(spliced), smooth=smooth),
        obsm=dict(X_umap=r.random((n, 2)).astype("float32")),
        varm=dict(PCs=r.random((g, 5)).astype("float32")),
    )
    a.write_h5ad(path, compression="gzip")


def reference(out, path):
    from slaf.data.converter import SLAFConverter

    SLAFConverter().convert(str(path), str(out))


def check(dataset, path, at_least):
    from slafdb_battery import battery

    a = ad.read_h5ad(path)
    obs = {c: a.obs[c].astype(object) if isinstance(a.obs[c].dtype, pd.CategoricalDtype) else a.obs[c] for c in a.obs}
    loaders = importlib.util.find_spec("torch") is not None
    results = battery(str(dataset), a.X, list(a.obs_names), list(a.var_names), pd.DataFrame(obs), dict(a.layers), dict(a.obsm), dict(a.varm), ml=loaders)
    if not loaders:
        print("without the 5 checks of the training loaders: torch is not installed")
    for name, result in results.items():
        if result != "ok":
            print(f"{name}: {result}")
    passed = sum(r == "ok" for r in results.values())
    print(f"passed {passed} of {len(results)}", flush=True)
    # not sys.exit: a training loader that hangs leaves threads behind, and the exit would wait for them
    os._exit(0 if passed >= at_least else 1)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--make", type=Path, metavar="FILE.h5ad", help="write the input")
    what.add_argument("--check", type=Path, metavar="DATASET", help="run the battery (needs --input)")
    what.add_argument("--reference", type=Path, nargs=2, metavar=("OUT", "FILE.h5ad"), help="convert with slafdb, by its defaults")
    p.add_argument("--input", type=Path, metavar="FILE.h5ad", help="what DATASET was made from")
    p.add_argument("--at-least", type=int, default=0, metavar="N", help="fail when fewer checks pass")
    args = p.parse_args()
    if args.make:
        make(args.make)
    elif args.reference:
        reference(*args.reference)
    elif args.input is None:
        p.error("--check needs --input")
    else:
        check(args.check, args.input, args.at_least)


if __name__ == "__main__":
    main()
