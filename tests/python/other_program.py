#!/usr/bin/env python3
"""What other programs do to a dataset of ours, one thing a call.

    python tests/python/other_program.py ACTION DATASET [ARGUMENT...]

Actions of slafdb: obs, text, obsm, var, varm, layer, obsp (a name each), uns (a key, and a value in JSON), unsdel
(a key), forget (a column of obs), look (the
columns of obs that must be there). Of pylance: add (table, column, SQL), index (table, column), compact (table, rows of
a fragment), clean (table), delete (table, condition), reverse (table), update (table, column, SQL, condition).
"""
import json, os, sys, warnings
from datetime import timedelta
from pathlib import Path

warnings.filterwarnings("ignore")
import lance
import numpy as np


def annotated(dataset):
    from loguru import logger
    from slaf.integrations.anndata import read_slaf

    logger.remove()
    return read_slaf(str(dataset))


def by_slafdb(action, dataset, *names):
    a = annotated(dataset)
    cells, genes = a.shape
    name = names[0] if names else None
    if action == "obs":
        a.obs[name] = np.arange(cells) % 7
    elif action == "text":
        a.obs[name] = np.array([f"cluster {i % 3}" for i in range(cells)])
    elif action == "obsm":
        a.obsm[name] = np.arange(cells * 3, dtype=np.float32).reshape(cells, 3) / 2
    elif action == "var":
        a.var[name] = np.arange(genes) / 3
    elif action == "varm":
        a.varm[name] = np.ones((genes, 2), dtype=np.float32)
    elif action == "layer":
        expression = lance.dataset(str(dataset / "expression.lance")).to_table().to_pandas()
        import scipy.sparse as sp

        rows, columns = (expression[c].astype("int64") for c in ("cell_integer_id", "gene_integer_id"))
        a.layers[name] = sp.csr_matrix((np.log1p(expression["value"].astype("float32")), (rows, columns)), a.shape)
    elif action == "obsp":
        a.obsp[name] = np.eye(cells, dtype=np.float32)[::-1] * 0.5
    elif action == "uns":
        a.uns[name] = json.loads(names[1]) if names[1:] else {"k": np.array([1.5, np.nan]), "of": np.int64(7)}
    elif action == "unsdel":
        del a.uns[name]
    elif action == "forget":
        del a.obs[name]
    elif action == "look":
        obs = a.slaf.obs
        assert len(obs) == cells, (len(obs), cells)
        for name in names:
            if name in a.uns:
                assert a.uns[name], name
                continue
            if name in a.obsm.keys():
                assert a.obsm[name].shape[0] == cells
                continue
            values = a.obs[name]
            assert len(values) == cells and values.notna().sum() > 0, name
        expression = lance.dataset(str(dataset / "expression.lance"))
        assert expression.count_rows() == a.slaf.config["metadata"]["expression_count"]
        ids = expression.to_table(columns=["cell_integer_id"])["cell_integer_id"].to_numpy().astype("int64")
        assert (np.diff(ids) >= 0).all() and ids.max() < cells
        print("cells", cells)
    else:
        return False
    return True


def by_pylance(action, dataset, table, *arguments):
    path = str(dataset / f"{table}.lance")
    t = lance.dataset(path)
    if action == "add":
        t.add_columns({arguments[0]: arguments[1]})
    elif action == "index":
        t.create_scalar_index(arguments[0], "BTREE")
    elif action == "compact":
        t.optimize.compact_files(target_rows_per_fragment=int(arguments[0]))
    elif action == "clean":
        t.cleanup_old_versions(older_than=timedelta(0), delete_unverified=True)
    elif action == "delete":
        t.delete(arguments[0])
    elif action == "reverse":
        rows = t.to_table()
        lance.write_dataset(rows.take(np.arange(len(rows))[::-1].copy()), path, mode="overwrite")
    elif action == "update":
        t.update({arguments[0]: arguments[1]}, where=arguments[2])
    else:
        sys.exit(f"no action {action}")


if __name__ == "__main__":
    action, dataset, *arguments = sys.argv[1:]
    by_slafdb(action, Path(dataset), *arguments) or by_pylance(action, Path(dataset), *arguments)
    # Threads of Lance may abort an interpreter that ends in order.
    sys.stdout.flush()
    os._exit(0)
