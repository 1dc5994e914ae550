"""10x matrices as scipy, h5py and plain Python read them: an oracle that shares no code with slaf.

    read(path, genome=[..], feature_type=[..], gene_id="symbol" | "ensembl", barcodes=FILE, features=FILE)

gives (obs, var, X): names and columns as scanpy's readers give them (with all feature types, and names made unique by
anndata), and X as a CSR matrix with every entry that the file stores, in the order in which it stores them.
"""
import gzip, io, tarfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp
from anndata.utils import make_index_unique


def is_tenx(path):
    """Is it one of ours, rather than an h5ad?"""
    path = Path(path)
    if path.is_dir():
        return True
    if not h5py.is_hdf5(path):
        return True
    with h5py.File(path) as f:
        return not ({"obs", "var", "X"} & set(f))


def read(path, genome=(), feature_type=(), gene_id="symbol", barcodes=None, features=None):
    path = Path(path)
    if path.is_file() and h5py.is_hdf5(path):
        cells, table, X, obs = read_h5(path, genome, barcodes, features)
    else:
        cells, table, X = read_mtx(path, barcodes, features)
        obs = {}
    return shaped(cells, table, X, obs, genome, feature_type, gene_id)


def shaped(cells, table, X, obs, genome, feature_type, gene_id):
    """table: id, name, gene_id, feature_type and others, of which some may be missing."""
    symbol = table.get("name", table.get("id"))
    var = {}
    if gene_id == "symbol":
        names = make_index_unique(pd.Index(symbol, dtype=object))
        if "name" in table:
            if "gene_id" in table:
                var["gene_ids"], var["probe_ids"] = table["gene_id"], table["id"]
            elif "id" in table:
                var["gene_ids"] = table["id"]
    else:
        names = pd.Index(table["id"], dtype=object)
        if "name" in table:
            var["gene_symbols"] = table["name"]
        if "gene_id" in table:
            var["gene_ids"] = table["gene_id"]
    if "feature_type" in table:
        var["feature_types"] = table["feature_type"]
    var |= {k: v for k, v in table.items() if k not in ("id", "name", "gene_id", "feature_type")}
    var = pd.DataFrame({k: pd.Series(v, index=names, dtype=object if np.asarray(v).dtype.kind in "OSU" else None) for k, v in var.items()}, index=names)
    keep = np.ones(len(names), bool)
    if genome and "genome" in table:
        keep &= np.isin(table["genome"], list(genome))
    if feature_type and "feature_type" in table:
        keep &= np.isin(table["feature_type"], list(feature_type))
    if not keep.all():
        X = columns(X, keep)
        var = var[keep]
    return pd.DataFrame(obs, index=pd.Index(cells, dtype=object)), var, X


def columns(X, keep):
    """scipy's own indexing would sort and sum."""
    new = np.cumsum(keep) - 1
    taken = keep[X.indices]
    indptr = np.concatenate([[0], np.cumsum(taken)])[X.indptr]
    return csr(X.data[taken], new[X.indices[taken]], indptr, (X.shape[0], int(keep.sum())))


def csr(data, indices, indptr, shape):
    X = sp.csr_matrix(shape, dtype=data.dtype)
    X.data, X.indices, X.indptr = data, np.asarray(indices, "int64"), np.asarray(indptr, "int64")
    return X


# ------------------------------------------------------------------------------------------------------- HDF5


def text(d):
    return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in d[()]], object)


def read_h5(path, genome, barcodes, features):
    with h5py.File(path) as f:
        obs = {}
        if "matrix" in f:
            group = f["matrix"]
            cells = text(group["barcodes"]) if barcodes is None else one_column(barcodes)
            if features is None:
                table = {}
                for k in sorted(group["features"], key=lambda k: (k not in ("id", "name", "gene_id", "feature_type"), k)):
                    d = group["features"][k]
                    if isinstance(d, h5py.Dataset) and k != "_all_tag_keys":
                        table[k] = text(d) if d.dtype.kind in "OS" else d[()]
            else:
                table = feature_table(features)
            if "filtered_barcodes" in group:
                obs["filtered_barcodes"] = group["filtered_barcodes"][()]
            parts = [group]
        else:
            names = sorted(k for k in f if isinstance(f[k], h5py.Group) and "indptr" in f[k])
            names = [n for n in names if not genome or n in genome]
            parts = [f[n] for n in names]
            cells = text(parts[0]["barcodes"]) if barcodes is None else one_column(barcodes)
            if features is None:
                table = {k: np.concatenate([text(p[old]) for p in parts]) for k, old in (("id", "genes"), ("name", "gene_names")) if all(old in p for p in parts)}
                table["genome"] = np.concatenate([np.full(len(p["gene_names"] if "gene_names" in p else p["genes"]), n, object) for n, p in zip(names, parts)])
            else:
                table = feature_table(features)
        n = len(next(iter(table.values())))
        data, indices, indptr = [], [], [0]
        pointers = [p["indptr"][()].astype("int64") for p in parts]
        firsts = np.cumsum([0] + [len(p["genes"] if "genes" in p else p["gene_names"]) for p in parts[:-1]]) if len(parts) > 1 else [0]
        native = lambda v: v.astype(v.dtype.newbyteorder("="))
        arrays = [(native(p["data"][()]), p["indices"][()].astype("int64")) for p in parts]
        if len(parts) == 1:
            X = csr(arrays[0][0], arrays[0][1], pointers[0], (len(cells), n))
        else:
            for c in range(len(cells)):
                for first, at, (d, i) in zip(firsts, pointers, arrays):
                    data.append(d[at[c] : at[c + 1]])
                    indices.append(i[at[c] : at[c + 1]] + first)
                indptr.append(indptr[-1] + sum(map(len, data[-len(parts) :])))
            X = csr(np.concatenate(data), np.concatenate(indices), indptr, (len(cells), n))
        return cells, table, X, obs


# --------------------------------------------------------------------------------------------- Matrix Market


def inflated(raw):
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


def lines(raw):
    out = inflated(raw).decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    while out and not out[-1]:
        out.pop()
    unquote = lambda f: f[1:-1].replace('""', '"') if len(f) > 1 and f[0] == f[-1] == '"' else f
    return [[unquote(f) for f in l.split("\t")] for l in out]


def one_column(path):
    return np.array([l[0] for l in lines(Path(path).read_bytes())], object)


def feature_table(source):
    rows = lines(source if isinstance(source, bytes) else Path(source).read_bytes())
    width = len(rows[0]) if rows else 1
    if width == 1:
        return {"name": np.array([r[0] for r in rows], object)}
    names = ["id", "name", "feature_type"] + [f"feature_column_{i}" for i in range(4, width + 1)]
    if width == 6 and all(c.isdigit() or not c for r in rows for c in r[4:]):
        names[3:] = ["chrom", "start", "end"]
    return {k: np.array([r[i] if i < len(r) else None for r in rows], object) for i, k in enumerate(names[:width])}


def files_of(path):
    """{name: bytes} of the folder in which the matrix is, and the name of the matrix."""
    if path.is_dir():
        return {p.name: p.read_bytes() for p in sorted(path.iterdir()) if p.is_file()}, None
    raw = path.read_bytes()
    try:
        with tarfile.open(fileobj=io.BytesIO(inflated(raw))) as t:
            found = {m.name: t.extractfile(m).read() for m in t if m.isfile()}
        matrix = next(n for n in found if n.rsplit("/")[-1] in ("matrix.mtx", "matrix.mtx.gz"))
        folder = matrix.rsplit("/", 1)[0] + "/" if "/" in matrix else ""
        return {n[len(folder) :]: v for n, v in found.items() if n.startswith(folder)}, None
    except tarfile.TarError:
        return {p.name: p.read_bytes() for p in sorted(path.parent.iterdir()) if p.is_file()}, path.name


def read_mtx(path, barcodes, features):
    if path.is_dir() and not any(".mtx" in p.name for p in path.iterdir()):
        path = next(p for p in sorted(path.rglob("*")) if p.is_dir() and any(".mtx" in q.name for q in p.iterdir()))
    files, matrix = files_of(path)
    if matrix is None:
        all_ = [n for n in files if n.removesuffix(".gz").endswith(".mtx") and n[0] != "."]
        matrix = next((n for n in all_ if n.startswith("matrix.mtx")), all_[0])
    prefix = matrix.removesuffix(".gz").removesuffix(".mtx").removesuffix("matrix")
    def beside(*kinds):
        for p in (prefix, prefix + ".", prefix + "_", prefix[: max(map(prefix.rfind, "._-")) + 1], ""):
            for k in kinds:
                for e in (".tsv", ".txt"):
                    for z in ("", ".gz"):
                        if f"{p}{k}{e}{z}" in files:
                            return files[f"{p}{k}{e}{z}"]
        raise FileNotFoundError(f"{kinds} beside {matrix}")
    cells = np.array([l[0] for l in lines(beside("barcodes"))], object) if barcodes is None else one_column(barcodes)
    if features is None and "peaks.bed" in files:
        chrom, start, end = (np.array(c, object) for c in zip(*lines(files["peaks.bed"])))
        name = chrom + ":" + start + "-" + end
        table = {"id": name, "feature_type": np.full(len(name), "Peaks", object), "chrom": chrom, "start": start, "end": end}
    else:
        table = feature_table(beside("features", "genes") if features is None else features)
    raw = inflated(files[matrix]).replace(b"\r\n", b"\n").lstrip()
    if raw.startswith(b"%Matrix"):
        raw = b"%" + raw
    # scipy minds blanks and comments between entries
    banner, *rest = raw.split(b"\n")
    rest = [l.strip().replace(b"\t", b" ") for l in rest if l.strip() and not l.strip().startswith(b"%")]
    raw = b"\n".join([banner, *rest, b""])
    m = scipy.io.mmread(io.BytesIO(raw))  # coordinates, duplicates and zeros kept, symmetric ones expanded
    n = len(next(iter(table.values())))
    cell, feature = (m.col, m.row) if m.shape == (n, len(cells)) else (m.row, m.col)
    assert m.shape in ((n, len(cells)), (len(cells), n)), (m.shape, n, len(cells))
    order = np.argsort(cell, kind="stable")
    counts = np.bincount(cell, minlength=len(cells))
    data = m.data[order]
    return cells, table, csr(data, feature[order], np.concatenate([[0], np.cumsum(counts)]), (len(cells), n))
