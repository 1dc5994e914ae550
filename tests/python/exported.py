#!/usr/bin/env python3
"""Does an exported h5ad hold what the original does? Read by anndata, which shares no code with slaf.

    python tests/python/exported.py ORIGINAL EXPORTED SUMMARY [ORIGINAL EXPORTED SUMMARY ...]

SUMMARY is what `slaf export --json` printed: an object that one of its notes names may differ. Prints `ok ...` for each
triple and exits 0, or prints every difference and exits 1.
"""
import json, sys, warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import anndata as ad
import h5py
import hdf5plugin  # noqa: F401  (more filters for h5py)
import numpy as np
import pandas as pd
import scipy.sparse as sp

import compare
from compare import expected_expression

differences = []


def differ(what, want, got):
    short = lambda v: str(v).replace("\n", " ")[:300]
    differences.append((what, f"{what}: expected {short(want)}, found {short(got)}"))


def same(what, want, got):
    if want != got:
        differ(what, want, got)


def texts(values):
    return [None if v is None or v is pd.NA or (isinstance(v, float) and np.isnan(v)) else str(v) for v in values]


def same_array(what, want, got, dtype=True):
    want, got = np.asarray(want), np.asarray(got)
    if want.dtype.kind in "OUST" or got.dtype.kind in "OUST":
        return same(what, (want.shape, texts(want.reshape(-1))), (got.shape, texts(got.reshape(-1))))
    if dtype:
        same(f"{what}: type", want.dtype.newbyteorder("="), got.dtype.newbyteorder("="))
    if want.shape != got.shape:
        return differ(f"{what}: shape", want.shape, got.shape)
    if not np.array_equal(want, got, equal_nan=want.dtype.kind == "f" and got.dtype.kind == "f"):
        differ(what, want, got)


def same_column(what, want, got):
    if isinstance(want.dtype, pd.CategoricalDtype):
        if not isinstance(got.dtype, pd.CategoricalDtype):
            return differ(f"{what}: type", want.dtype, got.dtype)
        same(f"{what}: ordered", bool(want.cat.ordered), bool(got.cat.ordered))
        same_array(f"{what}: categories", want.cat.categories.to_numpy(), got.cat.categories.to_numpy())
        return same(f"{what}: codes", list(want.cat.codes), list(got.cat.codes))
    if pd.api.types.is_extension_array_dtype(want.dtype) and want.dtype.kind not in "OUST":
        same(f"{what}: type", str(want.dtype), str(got.dtype))
        return same(what, texts(want.array), texts(got.array))
    same(f"{what}: missing", want.isna().tolist(), got.isna().tolist())
    same_array(what, want.to_numpy(), got.to_numpy())


def same_frame(what, want, got):
    same(f"{what}: index", [str(v) for v in want.index], [str(v) for v in got.index])
    own = lambda name: None if name == "_index" else name
    same(f"{what}: name of the index", own(want.index.name), own(got.index.name))
    columns = list(want.columns)
    for c in got.columns:
        if c not in columns:
            differ(f"{what}/{c}", "nothing", "a column")
    same(f"{what}: order", [c for c in columns if c in got.columns], [c for c in got.columns if c in columns])
    for c in columns:
        if c in got.columns:
            same_column(f"{what}/{c}", want[c], got[c])
        else:
            differ(f"{what}/{c}", "a column", "nothing")


def same_matrix(what, want, got, shape):
    if want is None:
        want = sp.csr_matrix(shape, dtype="float32")
    w, g = expected_expression(want, shape)[:3], expected_expression(got, shape)[:3]
    # sums of duplicates may need a wider type
    if sp.issparse(want) and len(w[0]) == np.count_nonzero(want.data):
        same(f"{what}: type", want.dtype.newbyteorder("="), got.dtype)
    for part, a, b in zip(("rows", "columns", "values"), w, g):
        if len(a) != len(b) or not np.array_equal(a, b, equal_nan=part == "values" and a.dtype.kind == "f" and b.dtype.kind == "f"):
            return differ(what, f"{len(a)} {part} {a[:9]}", f"{len(b)} {b[:9]}")


def same_embedding(what, want, got):
    if isinstance(want, pd.DataFrame):
        if not isinstance(got, pd.DataFrame):
            return differ(what, "a data frame", type(got))
        same(f"{what}: columns", list(want.columns), list(got.columns))
        return same_array(what, want.to_numpy(dtype="float64"), got.to_numpy(dtype="float64"))
    same_array(what, want.toarray() if sp.issparse(want) else want, got)


def same_uns(what, want, got):
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return differ(what, "a dict", type(got))
        for k in want:
            if k in got:
                same_uns(f"{what}/{k}", want[k], got[k])
            else:
                differ(f"{what}/{k}", "a value", "nothing")
        return
    if isinstance(want, (str, bytes, np.str_)):
        got = got[0] if isinstance(got, np.ndarray) and got.shape == (1,) else got  # anndata before 0.8
        return same(what, str(want), str(got))
    if isinstance(want, pd.DataFrame) or sp.issparse(want) or want is None:
        return differ(what, type(want), type(got))  # noted
    if isinstance(want, (pd.Categorical, pd.api.extensions.ExtensionArray)):
        return same(what, texts(want), texts(got))
    want = np.asarray(want)
    if want.dtype.names:
        return differ(what, "a structured array", type(got))
    if want.size == 0 and np.asarray(got).size == 0:
        return  # lists of JSON have no other shape
    same_array(what, want, got, dtype=False)


def check(original, exported):
    a, b = ad.read_h5ad(original), ad.read_h5ad(exported)
    same_frame("obs", a.obs, b.obs)
    same_frame("var", a.var, b.var)
    same_matrix("X", a.X, b.X, a.shape)
    for part, one, other in (("layers", a.layers, b.layers), ("obsp", a.obsp, b.obsp), ("varp", a.varp, b.varp)):
        side = {"layers": a.shape, "obsp": (a.n_obs,) * 2, "varp": (a.n_vars,) * 2}[part]
        for k in one:
            if k in other:
                same_matrix(f"{part}/{k}", one[k], other[k], side)
            else:
                differ(f"{part}/{k}", "a matrix", "nothing")
    for part, one, other in (("obsm", a.obsm, b.obsm), ("varm", a.varm, b.varm)):
        for k in one:
            if k in other:
                same_embedding(f"{part}/{k}", one[k], other[k])
            else:
                differ(f"{part}/{k}", "an embedding", "nothing")
    same_uns("uns", dict(a.uns), dict(b.uns))
    if a.raw is not None:
        differ("raw", "a matrix", "nothing")


def main(arguments):
    failed = False
    for original, exported, summary in zip(*[iter(arguments)] * 3):
        differences.clear()
        notes = [n["object"] for n in json.loads(Path(summary).read_text())["notes"]]
        try:
            ad.read_h5ad(original)
        except Exception as e:  # anndata cannot read the original: that it reads the export is all there is to see
            ad.read_h5ad(exported)
            print(f"ok {Path(original).name} (which anndata does not read: {str(e).splitlines()[0][:80]})")
            continue
        try:
            check(original, exported)
        except ValueError as e:
            differ("the export", "a file that anndata reads", e)
        # A note on an object tells of all that is in it.
        noted = lambda what: any(what == n or what.startswith((n + "/", n + ":", n + "@")) or n.startswith(what) for n in notes)
        left = [text for what, text in differences if not noted(what)]
        for text in left:
            print(f"{Path(original).name}: {text}")
        if left:
            failed = True
        else:
            print(f"ok {Path(original).name}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
