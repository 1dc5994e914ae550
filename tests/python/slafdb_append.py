#!/usr/bin/env python3
"""Can slafdb append to a dataset of ours?

    python tests/python/slafdb_append.py SLAF_DATASET FILE.h5ad

Appends FILE.h5ad in place with slafdb's own converter. Exits 0 when slafdb then reads old + new cells, and the new
cells' values (by a full scan) are those of the file; 1 otherwise.
"""
import argparse, sys, warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import anndata as ad
import lance
import numpy as np
from loguru import logger
from slaf.core.slaf import SLAFArray
from slaf.data.converter import SLAFConverter


def cells_of(dataset):
    s = SLAFArray(str(dataset))
    s.wait_for_metadata()
    assert s.shape[0] == len(s.obs), f"array_shape says {s.shape[0]} cells, obs has {len(s.obs)}"
    return s.shape[0]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("dataset", type=Path)
    p.add_argument("h5ad", type=Path)
    args = p.parse_args()
    logger.remove()

    a = ad.read_h5ad(args.h5ad)
    before = cells_of(args.dataset)
    try:
        SLAFConverter().append(str(args.h5ad), str(args.dataset))
    except Exception as e:
        sys.exit(f"slafdb refuses to append: {type(e).__name__}: {e}")
    after = cells_of(args.dataset)
    if after != before + a.n_obs:
        sys.exit(f"{before} cells before, {a.n_obs} appended, {after} after")
    new = lance.dataset(str(args.dataset / "expression.lance")).to_table(columns=["cell_integer_id", "value"]).to_pandas()
    sums = np.bincount(new["cell_integer_id"].astype("int64"), weights=new["value"].astype("float64"), minlength=after)[before:]
    if not np.allclose(sums, np.asarray(a.X.sum(axis=1)).ravel()):
        sys.exit("the appended cells hold other values than the file")
    print(f"ok {before} + {a.n_obs} = {after} cells")


if __name__ == "__main__":
    main()
