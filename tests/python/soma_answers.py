#!/usr/bin/env python3
"""What tiledbsoma reads in SOMA experiments, as one JSON document: counts and digests of every array.

    python tests/python/soma_answers.py NAME=FOLDER... > tests/soma_answers.json

Digests are the first 16 digits of SHA-256 over
    matrices     row, column (u64), value, of each entry, sorted; rows and columns by position
    embeddings   all values, row after row
    columns      each value; floats and times as they are, others after one byte, 0 where missing
    uns          the JSON tree: see `walk`
Whole numbers and booleans are i64, floats f64 (NaN always the same), texts a u64 length and UTF-8.
"""
import hashlib, json, sys
import numpy as np
import pandas as pd
import pyarrow as pa
import tiledbsoma as soma

NAN = np.frombuffer(b"\0\0\0\0\0\0\xf8\x7f", "f8")[0]


def finish(h):
    return h.hexdigest()[:16]


def wide(values):
    values = np.asarray(values)
    if values.dtype.kind == "f":
        values = values.astype("<f8")
        return np.where(np.isnan(values), NAN, values)
    return values.astype("<u8").view("<i8") if values.dtype == "u8" else values.astype("<i8")


def text(h, value):
    value = value.encode()
    h.update(len(value).to_bytes(8, "little") + value)


def names(values):
    h = hashlib.sha256()
    for value in values:
        text(h, str(value))
    return finish(h)


def matrix(array, rows, columns):
    """(type, entries, digest) of a sparse or dense array; entries of a dense one are not zero."""
    if isinstance(array, soma.SparseNDArray):
        table = array.read().tables().concat()
        r, c, v = (table[n].to_numpy() for n in ("soma_dim_0", "soma_dim_1", "soma_data"))
        r, c = np.searchsorted(rows, r), np.searchsorted(columns, c)
    else:
        dense = array.read((slice(None), slice(None))).to_numpy()[np.ix_(rows, columns)]
        r, c = np.nonzero(dense)
        v = dense[r, c]
    w = wide(v)
    order = np.lexsort((w.view("<i8"), c, r))
    out = np.empty((len(v), 3), "<i8")
    out[:, 0], out[:, 1], out[:, 2] = r[order], c[order], w.view("<i8")[order]
    return str(v.dtype), len(v), finish(hashlib.sha256(out.tobytes()))


def embedding(array, rows, width):
    if isinstance(array, soma.DenseNDArray):
        dense = array.read().to_numpy()[rows]
    else:
        table = array.read().tables().concat()
        r, c, v = (table[n].to_numpy() for n in ("soma_dim_0", "soma_dim_1", "soma_data"))
        dense = np.zeros((len(rows), width), v.dtype)
        dense[np.searchsorted(rows, r), c] = v
    return finish(hashlib.sha256(wide(dense).tobytes()))


def python_name(value):
    """A category as Python writes it."""
    return str(value.item() if hasattr(value, "item") else value)


def column(values):
    """(type, digest) of a chunked Arrow array."""
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    kind = values.type
    h = hashlib.sha256()
    if pa.types.is_dictionary(kind):
        ordered = " ordered" if kind.ordered else ""
        h.update(names(python_name(v) for v in values.dictionary.to_pylist()).encode())
        for value in values.to_pylist():
            h.update(b"\0" if value is None else b"\1")
            text(h, "" if value is None else python_name(value))
        return "categorical" + ordered, finish(h)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        for value in values.to_pylist():
            h.update(b"\0" if value is None else b"\1")
            text(h, value or "")
        return "utf8", finish(h)
    if pa.types.is_floating(kind):
        numbers = values.to_numpy(zero_copy_only=False)
        h.update(wide(numbers).tobytes())
        return str(kind.to_pandas_dtype()().dtype), finish(h)
    missing = values.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_timestamp(kind):
        numbers, name = values.cast(pa.timestamp("ns")).cast(pa.int64()), "time"
    elif pa.types.is_boolean(kind):
        numbers, name = values.cast(pa.int8()), "bool"
    elif pa.types.is_integer(kind):
        numbers, name = values, str(kind)
    else:
        return None, None
    numbers = wide(numbers.fill_null(0).to_numpy(zero_copy_only=False))
    out = np.empty(len(numbers), [("valid", "u1"), ("value", "<i8")])
    out["valid"], out["value"] = ~missing, np.where(missing, 0, numbers)
    h.update(out.tobytes())
    return ("nullable " if missing.any() and name != "time" else "") + name, finish(h)


def frame(df, fallback):
    table = df.read().concat().sort_by("soma_joinid")
    index = json.loads(df.metadata.get("soma_dataframe_original_index_name", "null"))
    index = index or next((n for n in fallback if n in table.column_names), None)
    joinids = table["soma_joinid"].to_numpy()
    ids = joinids if index is None else table[index].to_pylist()
    columns, left = [], []
    for name in table.column_names:
        if name not in ("soma_joinid", index):
            kind, digest = column(table[name])
            columns.append([name, kind, digest]) if kind else left.append(name)
    return joinids, {"rows": len(joinids), "ids": names(ids), "columns": columns, "left_out": left}


def walk(h, value):
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        h.update(b"n")
    elif isinstance(value, (bool, np.bool_)):
        h.update(b"t" if value else b"f")
    elif isinstance(value, (int, float)):
        h.update(b"#" + np.float64(value).tobytes())
    elif isinstance(value, str):
        h.update(b'"')
        text(h, value)
    elif isinstance(value, list):
        h.update(b"[" + len(value).to_bytes(8, "little"))
        for item in value:
            walk(h, item)
    elif isinstance(value, dict):
        h.update(b"{" + len(value).to_bytes(8, "little"))
        for key in sorted(value):
            text(h, key)
            walk(h, value[key])
    else:
        raise TypeError(type(value))


def uns(collection):
    out = {}
    for key, element in collection.items():
        if isinstance(element, soma.Collection):
            out[key] = uns(element)
        elif isinstance(element, soma.DenseNDArray):
            values = element.read().to_numpy()
            # tiledbsoma reads booleans as bytes.
            boolean = element.schema.field("soma_data").type == pa.bool_()
            out[key] = (values.astype(bool) if boolean else values).tolist()
        elif isinstance(element, soma.DataFrame):
            table = element.read().concat().sort_by("soma_joinid").drop_columns(["soma_joinid"])
            hint = element.metadata.get("soma_uns_outgest_hint")
            columns = {n: table[n].to_pylist() for n in table.column_names}
            if hint == "array_1d":
                out[key] = columns["values"]
            elif hint == "array_2d":
                out[key] = [list(row) for row in zip(*(columns[f"values_{i}"] for i in range(len(columns))))]
            else:
                out[key] = columns
    for key, value in collection.metadata.items():
        if not key.startswith("soma_"):
            out[key] = value.tolist() if hasattr(value, "tolist") else value
    return out


def width(array):
    """As the reader decides it: see `width` in src/source/soma/embedding.rs."""
    if isinstance(array, soma.DenseNDArray) or array.tiledbsoma_has_upgraded_shape:
        return array.shape[1]
    last = array.metadata.get("soma_dim_1_domain_upper")
    if last is not None:
        return int(last) + 1
    return array.non_empty_domain()[1][1] + 1


def experiment(folder):
    with soma.open(folder) as exp:
        others = [n for n in exp.ms if n != "raw"]
        chosen = "RNA" if "RNA" in exp.ms else others[0]
        cells, obs = frame(exp.obs, ["obs_id"])
        answer = {"measurement": chosen, "obs": obs, "matrices": {}, "embeddings": {}}
        for name in [chosen] + (["raw"] if "raw" in exp.ms else []):
            ms = exp.ms[name]
            genes, var = frame(ms.var, ["var_id", "feature_id"])
            answer["var" if name == chosen else "raw_var"] = var
            parts = [("X", cells, genes), ("obsp", cells, cells), ("varp", genes, genes)]
            for part, rows, columns in parts:
                for key, array in ms[part].items() if part in ms else []:
                    answer["matrices"][f"ms/{name}/{part}/{key}"] = matrix(array, rows, columns)
            if name != chosen:
                continue
            for part, rows in [("obsm", cells), ("varm", genes)]:
                for key, array in ms[part].items() if part in ms else []:
                    w = width(array)
                    answer["embeddings"][f"{part}/{key}"] = [w, embedding(array, rows, w)]
            h = hashlib.sha256()
            walk(h, uns(ms["uns"]) if "uns" in ms else {})
            answer["uns"] = finish(h)
    return answer


if __name__ == "__main__":
    answers = {}
    for argument in sys.argv[1:]:
        name, folder = argument.split("=", 1)
        answers[name] = experiment(folder)
        print(name, file=sys.stderr)
    lines = [f"{json.dumps(n)}: {json.dumps(a, separators=(',', ':'))}" for n, a in answers.items()]
    print("{\n" + ",\n".join(lines) + "\n}")
