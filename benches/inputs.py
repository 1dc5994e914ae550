#!/usr/bin/env python3
"""Makes the h5ad files of the benches: made-up counts, once as they are and once with gzip.

    inputs.py --cells 20000 --genes 20000 --work DIR
    inputs.py --cells 1000000 --genes 30000 --density 0.0767 --distinct 20480 --stored gzip --level 1 --work DIR

Genes have log-normal means and cells log-normal depths; counts are negative binomial, drawn as what they are: a
Poisson number of clusters of logarithmic sizes. Only what is not zero is ever made, batch by batch, each from a random
stream of its own: the content depends on cells, genes, density and seed alone, and memory not on the cells (but for
some 100 bytes a cell). Arrays have the types and chunks that anndata gives them. For very many cells, `--distinct` makes
so many and repeats their counts, under names of their own: what a chunk is packed into does not depend on the others.
"""

import argparse
import json
import os
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import NormalDist

STORED = ("gzip", "plain")
BATCH_CELLS = 2048
DISPERSION = 0.35
DEPTH_SIGMA = 0.45
GZIP_LEVEL = 4  # of h5py


def paths(work, cells, genes, density=0.08, seed=1, distinct=None):
    """The files by how they are stored, and a description of both."""
    stem = f"counts-{cells}x{genes}-{density:g}-{seed}" + (f"-of-{distinct}" if distinct else "")
    return {stored: Path(work) / f"{stem}-{stored}.h5ad" for stored in STORED}, Path(work) / f"{stem}.json"


class Repeated:
    """Batches of a model of which the first few come again and again."""

    def __init__(self, model, distinct):
        self.model, self.distinct, self.known = model, distinct, {}

    def batch(self, first, cells):
        first %= self.distinct
        if first not in self.known:
            self.known[first] = self.model.batch(first, min(BATCH_CELLS, self.distinct - first))
        return self.known[first][:cells]


class Model:
    def __init__(self, genes, density, seed):
        import numpy as np

        self.genes, self.seed = genes, seed
        relative = np.exp(np.random.default_rng([seed, 0]).normal(0, 2, genes))
        normal = [NormalDist().inv_cdf((k + 0.5) / 64) for k in range(64)]
        depths = np.exp(np.array(normal) * DEPTH_SIGMA - DEPTH_SIGMA**2 / 2)
        low, high = -20.0, 20.0
        for _ in range(40):
            scale = (low + high) / 2
            rates = np.log1p(DISPERSION * relative * np.exp(scale)) / DISPERSION
            found = np.mean([-np.expm1(-rates * depth).mean() for depth in depths])
            low, high = (scale, high) if found < density else (low, scale)
        excess = DISPERSION * relative * np.exp(scale)
        self.rates = rates  # clusters of a gene in a cell of depth 1
        self.sizes = np.minimum(excess / (1 + excess), 0.999)  # parameter of a cluster's size

    def batch(self, first, cells):
        """The counts of some cells as a CSR matrix."""
        import numpy as np
        import scipy.sparse

        random = np.random.default_rng([self.seed, 1, first])
        depths = np.exp(random.normal(-(DEPTH_SIGMA**2) / 2, DEPTH_SIGMA, cells)).cumsum()
        # Which cell a number between 0 and 2^16 belongs to, by the cells' depths.
        cell_of = np.searchsorted(depths / depths[-1], (np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.int32)
        clusters = random.poisson(self.rates * depths[-1])
        ends = np.concatenate([[0], clusters.cumsum()])
        cell = cell_of[random.integers(0, 1 << 16, ends[-1], dtype=np.uint16)]
        size = np.empty(ends[-1], np.float32)
        for start in range(0, self.genes, 256):
            genes = slice(start, start + 256)
            parameters = np.repeat(self.sizes[genes], clusters[genes])
            size[ends[start] : ends[min(start + 256, self.genes)]] = random.logseries(parameters)
        by_gene = scipy.sparse.csc_matrix((size, cell, ends.astype(np.int32)), shape=(cells, self.genes))
        counts = by_gene.tocsr()
        counts.sum_duplicates()
        return counts


class Array:
    """An array that grows; what gzip has to do is done by all processors."""

    def __init__(self, group, name, dtype, chunk, stored, level, pool):
        options = {"compression": "gzip", "compression_opts": level} if stored == "gzip" else {}
        self.dataset = group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(chunk,), **options)
        self.chunk, self.level, self.pool, self.written = chunk, level, pool, 0
        self.rest, self.waiting = [], []

    def add(self, values):
        import numpy as np

        values = np.concatenate([*self.rest, values])
        whole = len(values) // self.chunk * self.chunk
        for start in range(0, whole, self.chunk):
            piece = values[start : start + self.chunk].tobytes()
            packed = self.pool.submit(zlib.compress, piece, self.level) if self.dataset.compression else None
            self.waiting.append((piece if packed is None else None, packed))
        self.rest = [values[whole:].copy()]
        self.dataset.resize(self.written + len(self.waiting) * self.chunk, 0)
        for piece, packed in self.waiting:
            self.dataset.id.write_direct_chunk((self.written,), piece if packed is None else packed.result())
            self.written += self.chunk
        self.waiting.clear()

    def close(self):
        (rest,) = self.rest
        self.dataset.resize(self.written + len(rest), 0)
        self.dataset[self.written :] = rest


def anndata_chunk(length, dtype):
    """The chunk of an array of this length whose writer leaves the choice to h5py, as anndata does."""
    import h5py

    with h5py.File("guess", "w", driver="core", backing_store=False) as file:
        return file.create_dataset("x", (length,), dtype, maxshape=(None,), chunks=True).chunks[0]


def make(work, cells, genes, density=0.08, seed=1, distinct=None, kinds=STORED, level=GZIP_LEVEL):
    import anndata.io
    import h5py
    import numpy as np
    import pandas as pd

    files, description = paths(work, cells, genes, density, seed, distinct)
    files = {stored: files[stored] for stored in kinds}
    model = Model(genes, density, seed)
    if distinct:
        assert distinct % BATCH_CELLS == 0, f"only multiples of {BATCH_CELLS} can be repeated"
        model = Repeated(model, distinct)
    chunk = anndata_chunk(max(int(cells * genes * density), 1), "f4")
    indptr, sums = np.zeros(cells + 1, np.int64), np.zeros(cells, np.float32)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        handles, arrays = {}, []
        for stored, path in files.items():
            file = handles[stored] = h5py.File(path.with_suffix(".part"), "w")
            file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
            group = file.create_group("X")
            group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [cells, genes]})
            parts = [Array(group, name, dtype, chunk, stored, level, pool) for name, dtype in (("data", "f4"), ("indices", "i4"))]
            arrays.append(parts)
        for first in range(0, cells, BATCH_CELLS):
            counts = model.batch(first, min(BATCH_CELLS, cells - first))
            last = first + counts.shape[0]
            indptr[first + 1 : last + 1] = indptr[first] + counts.indptr[1:]
            sums[first:last] = counts.sum(1).A1
            for data, indices in arrays:
                data.add(counts.data)
                indices.add(counts.indices)
            if sys.stderr.isatty():
                print(f"\r{last} of {cells} cells", end="", file=sys.stderr)
        for parts in arrays:
            for array in parts:
                array.close()
    barcodes = np.char.add("cell-", np.arange(cells).astype("U"))
    kind = pd.Categorical.from_codes(np.arange(cells) * 12 // max(cells, 1), [f"kind {k:02}" for k in range(12)])
    obs = pd.DataFrame({"kind": kind, "n_counts": sums}, index=barcodes)
    var = pd.DataFrame(index=np.char.add("gene-", np.arange(genes).astype("U")))
    pointer = np.int32 if indptr[-1] < 2**31 else np.int64
    for stored, file in handles.items():
        options = {"compression": "gzip"} if stored == "gzip" else {}
        file["X"].create_dataset("indptr", data=indptr.astype(pointer), maxshape=(None,), **options)
        anndata.io.write_elem(file, "obs", obs, dataset_kwargs=options)
        anndata.io.write_elem(file, "var", var, dataset_kwargs=options)
        for name in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
            anndata.io.write_elem(file, name, {})
        file.close()
        files[stored].with_suffix(".part").rename(files[stored])
    about = {
        "cells": cells,
        "genes": genes,
        "non_zeros": int(indptr[-1]),
        "density": int(indptr[-1]) / (cells * genes),
        "chunk": chunk,
        "bytes": {stored: path.stat().st_size for stored, path in files.items()},
    }
    description.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=20000)
    parser.add_argument("--genes", type=int, default=20000)
    parser.add_argument("--density", type=float, default=0.08)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--distinct", type=int, help="make the counts of so many cells, and repeat them")
    parser.add_argument("--stored", choices=STORED, nargs="+", default=STORED)
    parser.add_argument("--level", type=int, default=GZIP_LEVEL, help="of gzip")
    parser.add_argument("--work", type=Path, required=True, help="folder of the files")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    make(given.work, given.cells, given.genes, given.density, given.seed, given.distinct, given.stored, given.level)
