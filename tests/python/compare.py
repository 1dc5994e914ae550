#!/usr/bin/env python3
"""Is SLAF_DATASET what H5AD says? An oracle that shares no code with slaf: anndata on one side, pylance on the other.

    python tests/python/compare.py [--value-type float64] H5AD SLAF_DATASET [H5AD SLAF_DATASET ...]

Prints `ok ...` for each pair and exits 0, or prints every difference and exits 1. The kind of data types (narrow: unsigned,
signed: signed) is read off the dataset; the value type must be the narrowest exact one, unless --value-type names
the one that was asked for.
"""
import argparse, json, math, sys, warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import anndata as ad
import h5py
import hdf5plugin  # noqa: F401  (more filters for h5py)
import lance
import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp
from anndata.io import read_elem

import tenx

OURS = {
    "obs": [("cell_id", pa.string()), ("cell_integer_id", pa.int64()), ("source_file", pa.string()), ("cell_start_index", pa.int64())],
    "var": [("gene_id", pa.string()), ("gene_integer_id", pa.int64())],
}
differences = []


def differ(what, want=None, got=None):
    short = lambda v: (t := str(v).replace("\n", " ")) if len(str(v)) < 300 else t[:300] + " ..."
    differences.append(what if want is None and got is None else f"{what}: expected {short(want)}, found {short(got)}")


def same(what, want, got):
    if want != got:
        differ(what, want, got)


def same_values(what, want, got):
    """Two arrays, equal bit by bit (so NaN equals itself and 0.0 is not -0.0)."""
    want, got = np.asarray(want), np.asarray(got)
    if want.shape != got.shape or want.dtype != got.dtype:
        return differ(what, f"{want.dtype}{want.shape}", f"{got.dtype}{got.shape}")
    bits = f"u{want.dtype.itemsize}"
    a, b = np.ascontiguousarray(want).view(bits), np.ascontiguousarray(got).view(bits)
    if want.dtype.kind == "f":  # any NaN is as good as another
        both = np.isnan(want) & np.isnan(got)
        a, b = np.where(both, 0, a), np.where(both, 0, b)
    if len(bad := np.flatnonzero(a != b)):
        differ(f"{what}: {len(bad)} of {len(a)} differ, the first at {bad[0]}", want[bad[0]], got[bad[0]])


# ------------------------------------------------------------------------------------------------ the h5ad


def read_input(path, options):
    """Any input: (obs, var, X, the whole AnnData where it is one)."""
    if tenx.is_tenx(path):
        return *tenx.read(path, **options), None
    return read_h5ad(path)


def read_h5ad(path):
    """(obs, var, X, the whole AnnData). scipy has no sparse half or big-endian floats, so anndata cannot read those: h5py can."""
    try:
        a = ad.read_h5ad(path)
        return a.obs, a.var, a.X, a
    except ValueError as e:
        if "does not support dtype" not in str(e):
            raise
    with h5py.File(path) as f:
        obs, var = read_elem(f["obs"]), read_elem(f["var"])
        data, indices, indptr = (f["X"][k][()] for k in ("data", "indices", "indptr"))
        data = data.astype("float32" if data.dtype.itemsize < 8 and data.dtype.kind == "f" else data.dtype.newbyteorder("="))
        return obs, var, sp.csr_matrix((data, indices.astype("int64"), indptr.astype("int64")), shape=(len(obs), len(var))), None


def expected_expression(X, shape):
    """(cell, gene, value, stored): sorted, duplicates summed, zeros dropped. Integers stay integers, wide enough not to
    wrap. `stored` are the values before duplicates are summed, which the type of the values may have to hold too."""
    if X is None:
        X = sp.csr_matrix(shape, dtype="float32")
    if sp.issparse(X):
        # by hand: scipy's own conversions sum in the stored type, and mind unsorted indices
        X = X.tocsr() if X.format != "csr" else X
        cell = np.repeat(np.arange(shape[0], dtype="int64"), np.diff(X.indptr.astype("int64")))
        gene, value = X.indices.astype("int64"), X.data
    else:
        X = np.asarray(X)
        cell, gene = np.divmod(np.arange(X.size, dtype="int64"), max(1, shape[1]))
        value = X.reshape(-1)
    value = value.astype("float64" if value.dtype.kind == "f" else "uint64" if value.dtype.kind == "u" else "int64")
    stored = value[value != 0]
    key = cell * max(1, shape[1]) + gene
    order = np.argsort(key, kind="stable")
    key, value = key[order], value[order]
    if len(key):
        first = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
        key, value = key[first], np.add.reduceat(value, first)
    key, value = key[value != 0], value[value != 0]
    cell, gene = np.divmod(key, max(1, shape[1]))
    return cell, gene, value, stored


def fits(value, dtype):
    """Does dtype hold every value exactly?"""
    if np.dtype(dtype).kind == "f":
        with np.errstate(all="ignore"):
            back = value.astype(dtype)
        if value.dtype.kind == "f":
            return bool(np.all((back == value) | np.isnan(value)))
        return all(int(b) == int(v) for b, v in zip(back.tolist(), value.tolist()))
    i = np.iinfo(dtype)
    if value.dtype.kind == "f" and not np.all(np.isfinite(value) & (value == np.floor(value))):
        return False
    return not len(value) or (int(value.min()) >= i.min and int(value.max()) <= i.max)


def narrowest(value, signed):
    order = ("float32", "int32", "float64") if signed else ("uint16", "uint32", "float32", "float64")
    return next((t for t in order if fits(value, t)), None)


# -------------------------------------------------------------------------------------------- the dataset


def text(v):
    """A category as the dataset spells it."""
    if isinstance(v, (bool, np.bool_)):
        return str(bool(v))
    if isinstance(v, (int, np.integer)):
        return str(int(v))
    return repr(float(v)) if isinstance(v, (float, np.floating)) else str(v)


def check_column(what, s, got):
    """One column of obs or var (pandas) against what was written (arrow)."""
    null = got.is_null().to_numpy(zero_copy_only=False)
    if isinstance(s.dtype, pd.CategoricalDtype):
        want = [None if k < 0 else text(s.cat.categories[k]) for k in s.cat.codes]
    elif isinstance(s.dtype, pd.StringDtype) or s.dtype == object:
        want = [None if v is None or v is pd.NA else str(v) for v in s.array]
    else:
        nullable = pd.api.types.is_extension_array_dtype(s.dtype)
        dtype = np.dtype(getattr(s.dtype, "numpy_dtype", s.dtype)).newbyteorder("=")
        same(f"{what}: type", pa.from_numpy_dtype(dtype), got.type)
        if got.type != pa.from_numpy_dtype(dtype):
            return
        missing = s.isna().to_numpy() if nullable else np.zeros(len(s), bool)  # a NaN is a value, not a null
        same(f"{what}: nulls at", np.flatnonzero(missing).tolist(), np.flatnonzero(null).tolist())
        want = s.to_numpy(dtype=dtype, na_value=0) if nullable else s.to_numpy().astype(dtype)
        if np.array_equal(missing, null):
            found = got.combine_chunks().drop_null().to_numpy(zero_copy_only=False).astype(dtype)
            same_values(what, want[~missing], found)
        return
    same(f"{what}: type", pa.string(), got.type)
    found = got.to_pylist()
    if want != found:
        at = next((i for i, (a, b) in enumerate(zip(want, found)) if a != b), "the end")
        differ(f"{what}: differs at {at}", want, found)


def check_table(table, frame, got, names, notes, extra):
    """cells or genes: our columns after all of obs or var, in source order."""
    written = names_of(notes, table)
    want = [written.get(c, c) for c in frame.columns] + [c for c, _ in OURS[table]]
    same(f"{table}: column order", want, got.column_names[: len(want)])
    same(f"{table}: columns nobody asked for", [], [c for c in got.column_names if c not in want and c not in extra])
    same(f"{table}: rows", len(frame), got.num_rows)
    if len(set(got.column_names)) != len(got.column_names):
        return differ(f"{table}: two columns of one name", "unique", got.column_names)
    for c in frame.columns:
        name = written.get(c, c)
        if name in got.column_names:
            check_column(f"{table} column {c!r}", frame[c], got[name])
        else:
            differ(f"{table}: column {c!r} (as {name!r}) is missing")
    for c, t in OURS[table]:
        if c not in got.column_names:
            differ(f"{table}: {c} is missing")
            return
        same(f"{table}: type of {c}", t, got[c].type)
    kind = "cell" if table == "obs" else "gene"
    same(f"{kind}_id", [str(v) for v in names], got[f"{kind}_id"].to_pylist())
    same(f"{kind}_integer_id", list(range(len(names))), got[f"{kind}_integer_id"].to_pylist())


def check_expression(cell, gene, value, stored, got, genes, value_type):
    same("expression: columns", ["cell_integer_id", "gene_integer_id", "value"], got.column_names)
    if got.column_names != ["cell_integer_id", "gene_integer_id", "value"]:
        return "?"
    signed = got["cell_integer_id"].type == pa.int32()
    types = ["int32", "int32"] if signed else ["uint32", "uint16" if genes <= 65_536 else "uint32"]
    types.append(value_type or narrowest(np.concatenate([value, stored]), signed))
    same("expression: types", types, [np.dtype(t.to_pandas_dtype()).name for t in got.schema.types])
    c, g, v = (got[k].to_numpy() for k in got.column_names)
    for k in got.column_names:
        same(f"expression: nulls in {k}", 0, got[k].null_count)
    c, g = c.astype("int64"), g.astype("int64")
    if np.any(np.diff(c) < 0):
        differ("expression: cells are not ascending")
    elif np.any((np.diff(c) == 0) & (np.diff(g) <= 0)):
        differ("expression: genes are not strictly ascending inside a cell")
    if np.any(v == 0):
        differ("expression: zeros stored", 0, int(np.sum(v == 0)))
    same("expression: rows", len(cell), len(c))
    if len(cell) == len(c):
        same_values("expression: cell_integer_id", cell, c)
        same_values("expression: gene_integer_id", gene, g)
        if value.dtype.kind != "f" and not fits(value, "float64"):
            differ("expression: an integer that float64 does not hold")
        same_values("expression: value", value.astype("float64"), v.astype("float64"))
    return "signed" if signed else "narrow"


def close(what, want, got):
    if not isinstance(got, (int, float)) or isinstance(got, bool) or not math.isclose(want, got, rel_tol=1e-6, abs_tol=1e-9):
        differ(what, want, got)


def check_config(config, shape, value, versions):
    same("config: checkpoint", False, "checkpoint" in config)
    same("config: array_shape", list(shape), config.get("array_shape"))
    same("config: n_cells, n_genes", list(shape), [config.get("n_cells"), config.get("n_genes")])
    for table in ("expression", "cells", "genes"):
        same(f"config: tables.{table}", f"{table}.lance", config.get("tables", {}).get(table))
    for table, version in config.get("versions", {}).items():
        same(f"config: versions.{table}", versions.get(table), version)
    m = config.get("metadata", {})
    total, n = shape[0] * shape[1], len(value)
    same("config: expression_count", n, m.get("expression_count"))
    same("config: total_possible_elements", total, m.get("total_possible_elements"))
    close("config: density", n / total if total else 0, m.get("density"))
    if total:
        close("config: sparsity", 1 - n / total, m.get("sparsity"))
    v = value.astype("float64")
    v = v[np.isfinite(v)]
    with np.errstate(all="ignore"):
        want = dict(min_value=v.min(), max_value=v.max(), mean_value=v.mean(), std_value=v.std(ddof=1) if len(v) > 1 else 0) if len(v) else {}
    stats = m.get("expression_stats", {})
    for k in ("min_value", "max_value", "mean_value", "std_value"):
        if not len(v):
            same(f"config: {k} without values", True, stats.get(k) in (None, 0))
        elif math.isfinite(want[k]):  # squares of values near 1e300 overflow: then there is nothing to compare
            close(f"config: {k}", float(want[k]), stats.get(k))


def check_categories(config, table, frame):
    """Category lists survive in config.json: `obs_dtypes` (`var_dtypes`), by column (old or new name), {"categories": [...], "ordered": bool}."""
    kept = config.get(f"{table}_dtypes")
    written = names_of(config.get("column_notes", []), table)
    for c in frame.columns if isinstance(kept, dict) else ():
        entry = kept.get(c, kept.get(written.get(c)))
        if isinstance(frame[c].dtype, pd.CategoricalDtype) and isinstance(entry, dict) and "categories" in entry:
            cat = frame[c].cat
            same(f"config: categories of {c!r}", [text(v) for v in cat.categories], [v if isinstance(v, str) else text(v) for v in entry["categories"]])
            if "ordered" in entry:
                same(f"config: {c!r} ordered", bool(cat.ordered), entry["ordered"])


def names_of(notes, part):
    """Column of the dataset by name in the source, where the two differ."""
    return {n["column"]: n["written_as"] for n in notes if n.get("part") == part}


def left_out(config):
    return {n["object"] for s in config.get("sources", []) for n in s.get("left_out", [])}


def check_union(table, matrices, got, ids, names, shape, types, value_types):
    """A table of several matrices: one row for each coordinate where any of them has a value, 0 where one has none."""
    same(f"{table}: columns", ids + [names.get(k, k) for k in matrices], got.column_names)
    if got.column_names[:2] != ids:
        return
    same(f"{table}: types of ids", types, [np.dtype(t.to_pandas_dtype()).name for t in got.schema.types[:2]])
    parts = {k: expected_expression(m, shape) for k, m in matrices.items()}
    keys = {k: p[0] * max(1, shape[1]) + p[1] for k, p in parts.items()}
    union = np.unique(np.concatenate(list(keys.values()))) if keys else np.array([], "int64")
    i, j = (got[c].to_numpy().astype("int64") for c in ids)
    same_values(f"{table}: coordinates", union, i * max(1, shape[1]) + j)
    for k, (_, _, value, stored) in parts.items():
        column = names.get(k, k)
        if column not in got.column_names:
            differ(f"{table}: {k} is missing")
            continue
        order = value_types
        want = next((t for t in order if fits(np.concatenate([value, stored]), t)), None)
        same(f"{table}: type of {k}", want, np.dtype(got[column].type.to_pandas_dtype()).name)
        dense = np.zeros(len(union))
        dense[np.searchsorted(union, keys[k])] = value.astype("float64")
        if len(union) == got.num_rows:
            same_values(f"{table}: {k}", dense, got[column].to_numpy().astype("float64") + 0.0)


def numbers(m):
    """An embedding as an array of numbers, or None where it is none."""
    if isinstance(m, pd.DataFrame):
        if not all(isinstance(t, np.dtype) and t.kind in "biuf" for t in m.dtypes):
            return None
        types = set(m.dtypes)
        return m.to_numpy(dtype=types.pop() if len(types) == 1 else "float64")
    if sp.issparse(m):
        return m.toarray() if m.shape[1] <= 65_536 else None
    m = np.asarray(m)
    return m.reshape(len(m), -1) if m.dtype.kind in "biuf" and m.ndim in (1, 2) else None


def check_embeddings(part, got, matrices, config):
    names, skipped = names_of(config.get("column_notes", []), part), left_out(config)
    for k, m in matrices.items():
        m, column = numbers(m), names.get(k, k)
        if m is None or not 0 < m.shape[1] <= 65_536:
            if f"{part}/{k}" not in skipped:
                differ(f"{part}/{k} is neither written nor named as left out")
            continue
        if column not in got.column_names:
            differ(f"{part}/{k} is missing")
            continue
        value = m.astype("float64").reshape(-1)
        kind = "float32" if fits(value, "float32") else "float64"
        same(f"{part}/{k}: type", str(pa.list_(getattr(pa, kind)(), m.shape[1])), str(got[column].type).replace("item: ", "item: "))
        found = np.array(got[column].to_pylist(), dtype="float64").reshape(len(m), m.shape[1]) if len(m) else m.astype("float64")
        same_values(f"{part}/{k}", value + 0.0, found.reshape(-1) + 0.0)
    known = config.get(part, {})
    want = sorted(names.get(k, k) for k, m in matrices.items() if f"{part}/{k}" not in skipped)
    same(f"config: {part}.available", want, sorted(known.get("available", [])))


def as_json(v):
    """What uns.json holds for a value; Missing where it has no form there."""
    if isinstance(v, dict):
        return {k: j for k, x in v.items() if (j := as_json(x)) is not Missing}
    if isinstance(v, pd.DataFrame):
        return Frame({c: as_json(v[c]) for c in v.columns}, as_json(pd.Series(v.index)))
    if isinstance(v, (pd.Series, pd.Categorical)) or pd.api.types.is_extension_array_dtype(v):
        return [as_json(x) for x in list(v)]
    if v is None or v is pd.NA or (isinstance(v, float) and not math.isfinite(v)):
        return None
    if isinstance(v, (bool, np.bool_)):
        return bool(v)
    if isinstance(v, (int, np.integer)):
        return int(v)
    if isinstance(v, (float, np.floating)):
        return float(v) if np.isfinite(v) else None
    if isinstance(v, (str, bytes)):
        return v.decode() if isinstance(v, bytes) else str(v)
    if isinstance(v, np.ndarray):
        if v.dtype.names:
            return {n: as_json(v[n]) for n in v.dtype.names}
        return [as_json(x) for x in v] if v.ndim else as_json(v[()])
    return Missing


class Missing:
    pass


class Frame(dict):
    """A data frame, whose index may have any name."""

    def __init__(self, columns, index):
        super().__init__(columns)
        self.index = index


def check_json(path, want, got, skipped):
    if isinstance(want, Frame) and isinstance(got, dict):
        rest = [v for k, v in got.items() if k not in want]
        same(f"{path}: index", [want.index], rest)
        got = {k: v for k, v in got.items() if k in want}
    if isinstance(want, dict) and isinstance(got, dict):
        for k in want.keys() | got.keys():
            if f"{path}/{k}" in skipped:
                continue
            if k not in got or k not in want:
                differ(f"{path}/{k}: in one only", sorted(want), sorted(got))
            else:
                check_json(f"{path}/{k}", want[k], got[k], skipped)
    elif want != got:
        # texts of one row were written as lists by old versions
        if not (isinstance(got, list) and len(got) == 1 and got[0] == want):
            differ(path, want, got)


def check_rest(a, root, tables, config, signed):
    """Layers, embeddings, pairs, uns and raw."""
    notes, skipped, shape = config.get("column_notes", []), left_out(config), a.shape
    cell, gene = ("int32", "int32") if signed else ("uint32", "uint16" if shape[1] <= 65_536 else "uint32")
    values = ("float32", "int32", "float64") if signed else ("uint16", "uint32", "float32", "float64")
    floats = ("float32", "float64")
    small = "uint16" if shape[1] <= 65_536 else "uint32"
    for table, part, matrices, side, types, order, ids in (
        ("layers", "layers", a.layers, shape, [cell, gene], values, ["cell_integer_id", "gene_integer_id"]),
        ("cellsxcells", "obsp", a.obsp, (shape[0],) * 2, ["uint32"] * 2, floats, ["cell_integer_id_i", "cell_integer_id_j"]),
        ("genesxgenes", "varp", a.varp, (shape[1],) * 2, [small] * 2, floats, ["gene_integer_id_i", "gene_integer_id_j"]),
    ):
        matrices = {k: matrices[k] for k in sorted(matrices) if k is not None and f"{part}/{k}" not in skipped}
        same(f"{table}.lance", bool(matrices), table in tables)
        names = names_of(notes, part)
        same(f"config: {part}.available", [names.get(k, k) for k in matrices], config.get(part, {}).get("available", []))
        same(f"config: tables.{table}", f"{table}.lance" if matrices else None, config["tables"].get(table))
        if matrices and table in tables:
            check_union(table, matrices, tables[table].to_table(), ids, names, side, types, order)
    check_embeddings("obsm", tables["cells"].to_table(), a.obsm, config)
    check_embeddings("varm", tables["genes"].to_table(), a.varm, config)
    if a.raw is not None:
        same("raw is left out by name", True, bool({"raw/X", "raw.X"} & skipped))
    uns = as_json(dict(a.uns))
    path = root / "uns.json"
    got = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    check_json("uns", uns, got, skipped)


def check_files(root, tables):
    """Nothing lies in the dataset that its latest versions do not refer to."""
    known = {"config.json", "uns.json"} | {f"{t}.lance" for t in tables}
    same("files beside the tables", [], sorted(p.name for p in root.iterdir() if p.name not in known))
    for name, ds in tables.items():
        used = {f"data/{d.path}" for f in ds.get_fragments() for d in f.data_files()}
        there = {str(p.relative_to(root / f"{name}.lance")) for p in (root / f"{name}.lance" / "data").rglob("*") if p.is_file()}
        same(f"{name}: data files nobody refers to", [], sorted(there - used))
        same(f"{name}: data files that are missing", [], sorted(used - there))


def source_name(path):
    """A folder of folders is named by the one in which the matrix is."""
    if path.is_dir() and not any(".mtx" in p.name for p in path.iterdir()):
        path = next(p for p in sorted(path.rglob("*")) if p.is_dir() and any(".mtx" in q.name for q in p.iterdir()))
    return path.name


def compare(h5ad, dataset, value_type=None, options=None):
    """Compares one pair; returns a line that describes it and the list of differences."""
    differences.clear()
    obs, var, X, a = read_input(h5ad, options or {})
    shape = (len(obs), len(var))
    cell, gene, value, stored = expected_expression(X, shape)
    config = json.loads((dataset / "config.json").read_text(encoding="utf-8"), parse_constant=lambda c: differ(f"config.json: {c} is not JSON"))
    tables = {d.name.removesuffix(".lance"): lance.dataset(str(d)) for d in sorted(dataset.glob("*.lance"))}
    if missing := {"expression", "cells", "genes"} - set(tables):
        return str(dataset), [f"no table {', '.join(sorted(missing))}"]

    kind = check_expression(cell, gene, value, stored, tables["expression"].to_table(), shape[1], value_type)
    notes = config.get("column_notes", [])
    extra = lambda key: set(config.get(key, {}).get("available", []))
    cells, genes = tables["cells"].to_table(), tables["genes"].to_table()
    check_table("obs", obs, cells, obs.index, notes, extra("obsm"))
    check_table("var", var, genes, var.index, notes, extra("varm"))
    counts = np.bincount(cell, minlength=shape[0])
    if "cell_start_index" in cells.column_names and cells["cell_start_index"].type == pa.int64():
        same_values("cell_start_index", (np.cumsum(counts) - counts).astype("int64"), cells["cell_start_index"].to_numpy())
    if "source_file" in cells.column_names:
        same("source_file", {source_name(h5ad)} if shape[0] else set(), set(cells["source_file"].to_pylist()))
    check_config(config, shape, value, {k: d.version for k, d in tables.items()})
    check_categories(config, "obs", obs)
    check_categories(config, "var", var)
    check_files(dataset, tables)
    if a is not None:
        check_rest(a, dataset, tables, config, kind == "signed")
    line = f"{h5ad.name}: {shape[0]} cells, {shape[1]} genes, {len(value)} values ({kind}), {len(obs.columns)} obs and {len(var.columns)} var columns"
    return line, list(differences)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("pairs", type=Path, nargs="+", metavar="H5AD DATASET")
    p.add_argument("--value-type", help="the value type that was asked for (default: the narrowest exact one)")
    for name in ("--barcodes", "--features"):
        p.add_argument(name, help=f"the {name} that was given, of a 10x matrix; {{}} stands for the input's file name")
    args = p.parse_args()
    if len(args.pairs) % 2:
        p.error("an h5ad and a dataset are needed for each comparison")
    wrong = 0
    for h5ad, dataset in zip(args.pairs[::2], args.pairs[1::2]):
        try:
            options = {k: v.format(h5ad.name) for k in ("barcodes", "features") if (v := getattr(args, k))}
            line, found = compare(h5ad, dataset, args.value_type, options)
        except Exception as error:  # one broken dataset must not hide the others
            line, found = h5ad.name, [f"{type(error).__name__}: {error}"]
        wrong += bool(found)
        print(*([f"DIFFERENT {line}"] + found if found else [f"ok {line}"]), sep="\n  ", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
