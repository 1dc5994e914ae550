#!/usr/bin/env python3
"""Makes the 10x files of the benches: the counts of inputs.py as a Matrix Market folder and as a 10x H5 file.

    tenx_inputs.py --cells 5000 --genes 20000 --work DIR

Both as Cell Ranger writes them: text compressed by gzip at level 6; chunks of 80,000 values (int32) and indices (int64),
shuffled and deflated at level 4.
"""

import argparse
import gzip
import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inputs import BATCH_CELLS, Model

H5_CHUNK = 80_000


def paths(work, cells, genes, density=0.08, seed=1):
    """The folder, the H5 file, and a description of both."""
    stem = f"tenx-{cells}x{genes}-{density:g}-{seed}"
    return {"mtx": Path(work) / f"{stem}-mtx", "h5": Path(work) / f"{stem}.h5"}, Path(work) / f"{stem}.json"


class Shuffled:
    """A dataset of shuffled and deflated chunks, which all processors make."""

    def __init__(self, group, name, dtype, length, pool):
        self.dataset = group.create_dataset(name, (length,), dtype, chunks=(min(H5_CHUNK, length),), compression="gzip", compression_opts=4, shuffle=True)
        self.pool, self.waiting, self.rest = pool, [], []

    def add(self, values):
        self.rest.append(values.astype(self.dataset.dtype))

    def close(self):
        import numpy as np

        values = np.concatenate(self.rest)
        chunk = self.dataset.chunks[0]

        def packed(start):
            piece = np.zeros(chunk, self.dataset.dtype)
            part = values[start : start + chunk]
            piece[: len(part)] = part
            bytes_ = piece.view(np.uint8).reshape(chunk, -1).T.tobytes()
            return start, zlib.compress(bytes_, 4)

        for start, raw in self.pool.map(packed, range(0, len(values), chunk)):
            self.dataset.id.write_direct_chunk((start,), raw)


def make(work, cells, genes, density, seed):
    import h5py
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv

    files, description = paths(work, cells, genes, density, seed)
    model = Model(genes, density, seed)
    batches = [model.batch(first, min(BATCH_CELLS, cells - first)) for first in range(0, cells, BATCH_CELLS)]
    non_zeros = sum(batch.nnz for batch in batches)
    barcodes = [f"CELL{cell:012}-1" for cell in range(cells)]
    symbols, ids = [f"gene-{gene}" for gene in range(genes)], [f"ENSG{gene:011}" for gene in range(genes)]

    folder = files["mtx"]
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in {"barcodes": barcodes, "features": [f"{i}\t{s}\tGene Expression" for i, s in zip(ids, symbols)]}.items():
        (folder / f"{name}.tsv.gz").write_bytes(gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0))
    options = pa.csv.WriteOptions(include_header=False, delimiter=" ")
    text = 0
    with gzip.GzipFile(folder / "matrix.mtx.gz", "wb", 6, mtime=0) as out:
        out.write(f"%%MatrixMarket matrix coordinate integer general\n%\n{genes} {cells} {non_zeros}\n".encode())
        first = 1
        for batch in batches:
            cell = np.repeat(np.arange(first, first + batch.shape[0]), np.diff(batch.indptr))
            first += batch.shape[0]
            sink = pa.BufferOutputStream()
            pa.csv.write_csv(pa.table({"gene": batch.indices + 1, "cell": cell, "count": batch.data.astype("i4")}), sink, options)
            raw = sink.getvalue()
            text += len(raw)
            out.write(raw)

    with h5py.File(files["h5"], "w") as file, ThreadPoolExecutor() as pool:
        group = file.create_group("matrix")
        data, indices = (Shuffled(group, name, dtype, non_zeros, pool) for name, dtype in (("data", "i4"), ("indices", "i8")))
        for batch in batches:
            data.add(batch.data)
            indices.add(batch.indices)
        data.close()
        indices.close()
        ends = np.concatenate([np.diff(batch.indptr) for batch in batches])
        group["indptr"] = np.concatenate([[0], ends.cumsum()]).astype("i8")
        group["shape"] = np.array([genes, cells], "i4")
        group["barcodes"] = np.array(barcodes, "S")
        features = group.create_group("features")
        features["id"], features["name"] = np.array(ids, "S"), np.array(symbols, "S")
        features["feature_type"], features["genome"] = (np.full(genes, text, "S15") for text in (b"Gene Expression", b"GRCh38"))
        features["_all_tag_keys"] = np.array(["genome"], "S")
    about = {"cells": cells, "genes": genes, "non_zeros": non_zeros, "text": text, "bytes": {"mtx": (folder / "matrix.mtx.gz").stat().st_size, "h5": files["h5"].stat().st_size}}
    description.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--genes", type=int, default=20000)
    parser.add_argument("--density", type=float, default=0.08)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="folder of the files")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    make(arguments.work, arguments.cells, arguments.genes, arguments.density, arguments.seed)
