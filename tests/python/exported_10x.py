#!/usr/bin/env python3
"""Do exports in 10x formats hold the counts of a dataset? Read as scanpy reads them, without code of slaf.

    python tests/python/exported_10x.py EXPORT SLAF_DATASET [EXPORT SLAF_DATASET ...]
"""
import gzip, sys
from pathlib import Path

import h5py
import lance
import numpy as np
import scipy.io
import scipy.sparse as sp


def read_h5(path):
    """As scanpy.read_10x_h5 does for version 3: fixed-length texts become str, indices are signed."""
    with h5py.File(path) as f:
        m = f["matrix"]
        genes, cells = m["shape"][()]
        assert m["data"].dtype == np.int32 and m["indices"].dtype == np.int64 and m["indptr"].dtype == np.int64
        X = sp.csr_matrix((m["data"][()], m["indices"][()], m["indptr"][()]), shape=(cells, genes))
        text = lambda d: [v.decode() for v in d[()].tolist()] if d.dtype.kind == "S" else sys.exit(f"{path}: {d.name} is {d.dtype}")
        assert text(m["features/_all_tag_keys"]) == ["genome"] and len(text(m["features/genome"])) == genes
        assert len(text(m["features/feature_type"])) == len(text(m["features/id"])) == genes
        return text(m["barcodes"]), text(m["features/name"]), X


def read_mtx(path):
    lines = lambda name: [l.rstrip("\n").split("\t") for l in gzip.open(path / name, "rt", encoding="utf-8")]
    with gzip.open(path / "matrix.mtx.gz") as f:
        X = sp.csr_matrix(scipy.io.mmread(f).T)
    features = lines("features.tsv.gz")
    assert all(len(l) == 3 for l in features)
    return [l[0] for l in lines("barcodes.tsv.gz")], [l[1] for l in features], X


def main(arguments):
    failed = False
    for export, dataset in zip(*[iter(arguments)] * 2):
        table = lambda name: lance.dataset(str(Path(dataset) / f"{name}.lance")).to_table()
        cells, genes, x = table("cells"), table("genes"), table("expression")
        shape = (cells.num_rows, genes.num_rows)
        value = x["value"].to_numpy().astype("int64")
        want = sp.csr_matrix((value, (x["cell_integer_id"].to_numpy(), x["gene_integer_id"].to_numpy())), shape=shape)
        names, features, X = (read_mtx if Path(export).is_dir() else read_h5)(Path(export))
        problems = [
            what
            for what, same in [
                ("barcodes", names == cells["cell_id"].to_pylist()),
                ("features", features == genes["gene_id"].to_pylist()),
                ("values", X.shape == shape and (X.astype("int64") != want).nnz == 0),
            ]
            if not same
        ]
        failed |= bool(problems)
        print(f"{export}: {problems}" if problems else f"ok {export}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
