"""The examples of `slaf query --help`.

`make FOLDER` writes inputs; `check FOLDER` compares what the examples printed, in FOLDER/1.out … 10.out
and in the files they name, with what pandas and anndata make of the inputs.
"""

import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

GENES = ["CD3E", "CD19", "MS4A1", "MT-CO1", "MT-ND1"] + [f"GENE{n}" for n in range(45)] + ["SILENT1", "SILENT2"]
TYPES = ["B cell", "T cell", "monocyte"]


def make(folder):
    rng = np.random.default_rng(16)
    for name, cells in (("a", 160), ("b", 90)):
        x = rng.poisson(0.6, (cells, len(GENES))).astype(np.float32)
        x[:, -2:] = 0
        x[:, 0] += 1  # no cell without counts
        x[rng.random((cells, len(GENES))) < 0.3] = 0
        x[:, 5] += 1
        obs = pd.DataFrame(
            {
                "cell_type": rng.choice(TYPES, cells, p=[0.5, 0.3, 0.2]),
                "donor": [f"{n:03}" for n in rng.integers(1, 5, cells)],
            },
            index=[f"{name}{n}-1" for n in range(cells)],
        )
        ad.AnnData(sparse.csr_matrix(x), obs, pd.DataFrame(index=GENES)).write_h5ad(folder / f"{name}.h5ad")
    (folder / "donors.csv").write_text("donor,disease\n001,healthy\n002,ill\n003,ill\n005,ill\n")


def table(folder, name, **options):
    return pd.read_csv(folder / name, sep="\t", dtype={"donor": str}, **options)


def same(found, wanted, by):
    wanted = wanted[list(found.columns)]
    order = lambda frame: frame.sort_values(by).reset_index(drop=True)
    pd.testing.assert_frame_equal(order(found), order(wanted), check_dtype=False, check_exact=False, rtol=1e-12)


def check(folder):
    parts = [ad.read_h5ad(folder / f"{name}.h5ad") for name in "ab"]
    for name, part in zip("ab", parts):
        part.obs["source_file"] = f"{name}.h5ad"
    all_ = ad.concat(parts)
    obs = all_.obs.copy()
    obs["cell_type"] = obs["cell_type"].astype(str)
    obs["donor"] = obs["donor"].astype(str)
    obs["cell_id"] = obs.index
    x = pd.DataFrame(all_.X.toarray().astype(float), index=obs.index, columns=GENES)
    counts, genes = x.sum(axis=1), (x > 0).sum(axis=1)

    found = table(folder, "1.out")
    wanted = obs.groupby(["cell_type", "source_file"]).size().reset_index(name="cells")
    same(found, wanted, ["cell_type", "source_file"])
    assert found.cells.is_monotonic_decreasing

    wanted = x["CD3E"].groupby(obs.cell_type).mean().reset_index(name="mean")
    same(table(folder, "2.out"), wanted, ["cell_type"])

    long = x.assign(donor=obs.donor, cell_type=obs.cell_type).groupby(["donor", "cell_type"]).sum()
    long = long.stack().rename_axis(["donor", "cell_type", "gene_id"]).reset_index(name="counts")
    found = pd.read_parquet(folder / "pseudobulk.parquet")
    same(found, long[long.counts > 0], ["donor", "cell_type", "gene_id"])
    assert (folder / "3.out").read_text() == ""

    wanted = obs.cell_id[(x["CD3E"] > 0) & (x["CD19"] == 0)]
    assert list(table(folder, "4.out").cell_id) == list(wanted), "and in the order of the dataset"

    wanted = (x > 0).mean().rename_axis("gene_id").reset_index(name="fraction")
    wanted = wanted[wanted.fraction > 0].sort_values(["fraction", "gene_id"], ascending=[False, True]).head(20)
    found = table(folder, "5.out")
    assert list(found.gene_id) == list(wanted.gene_id)
    np.testing.assert_allclose(found.fraction, wanted.fraction)

    assert list(table(folder, "b_cells.tsv").cell_id) == list(obs.cell_id[obs.cell_type == "B cell"])

    donors = pd.read_csv(folder / "donors.csv", dtype=str)
    joined = obs.assign(counts=counts).merge(donors, on="donor")
    wanted = joined.groupby("disease").agg(cells=("counts", "size"), counts=("counts", "mean")).reset_index()
    same(table(folder, "7.out"), wanted, ["disease"])

    assert list(table(folder, "8.out").gene_id) == ["SILENT1", "SILENT2"]

    mt = x[["MT-CO1", "MT-ND1"]].sum(axis=1)
    wanted = pd.DataFrame({"cell_id": obs.cell_id, "counts": counts, "genes": genes, "mt": mt / counts})
    same(table(folder, "9.out"), wanted, ["cell_id"])

    now = obs.cell_type.value_counts()
    before = parts[0].obs["cell_type"].astype(str).value_counts()
    wanted = pd.DataFrame({"now": now, "before": before}).rename_axis("cell_type").reset_index()
    same(table(folder, "10.out"), wanted, ["cell_type"])
    print("ok")


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](Path(sys.argv[2]))
