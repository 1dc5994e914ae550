"""Random queries, answered by `slaf query` and by DuckDB over the same tables.

Usage: query_oracle.py SLAF DATASET SEED COUNT [signed]. Tables are read by pylance, and the views are
made here, so that nothing is shared but the files. Prints a line for each difference.
"""

import io
import random
import subprocess
import sys

import duckdb
import lance
import pandas as pd


def tables(connection, dataset):
    for name in ("cells", "genes", "expression"):
        table = lance.dataset(f"{dataset}/{name}.lance").to_table()
        connection.register(f"{name}_", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_")
    connection.execute(
        "CREATE TABLE x AS SELECT c.cell_id, g.gene_id, e.value::DOUBLE AS value FROM expression e "
        "JOIN cells c ON c.cell_integer_id = e.cell_integer_id JOIN genes g ON g.gene_integer_id = e.gene_integer_id"
    )


class Queries:
    def __init__(self, connection, seed):
        self.random = random.Random(seed)
        column = lambda sql: [row[0] for row in connection.execute(sql).fetchall()]
        self.cells = column("SELECT cell_id FROM cells")
        self.genes = column("SELECT gene_id FROM genes")
        self.types = column("SELECT DISTINCT cell_type FROM cells WHERE cell_type IS NOT NULL")

    def quoted(self, values, most):
        some = self.random.sample(values, min(len(values), self.random.randint(1, most)))
        return ", ".join(f"'{value}'" for value in some)

    def of_cells(self, c):
        n = len(self.cells)
        low = self.random.randrange(n)
        return self.random.choice(
            [
                f"{c}.cell_type IN ({self.quoted(self.types, 2)})",
                f"{c}.cell_integer_id BETWEEN {low} AND {low + self.random.randint(0, 30)}",
                f"{c}.cell_id IN ({self.quoted(self.cells, 12)})",
                f"{c}.cell_integer_id % {self.random.randint(2, 9)} = 1",
                f"{c}.cell_id LIKE '%{self.random.choice('ACGT')}{self.random.choice('ACGT')}%'",
                f"({c}.cell_integer_id < 5 OR {c}.cell_integer_id > {n - 5})",
            ]
        )

    def of_genes(self, g):
        by_number = [] if g == "x" else [f"{g}.gene_integer_id < {self.random.randint(1, 40)}"]
        return self.random.choice(
            by_number
            + [
                f"{g}.gene_id IN ({self.quoted(self.genes, 4)})",
                f"{g}.gene_id = '{self.random.choice(self.genes)}'",
                f"{g}.gene_id NOT LIKE '%1%'",
            ]
        )

    def of_values(self, e):
        return f"{e}.value {self.random.choice(['>', '<=', '=', '<>'])} {self.random.randint(1, 4)}"

    def where(self, *conditions):
        chosen = [condition for condition in conditions if self.random.random() < 0.7]
        return "WHERE " + " AND ".join(chosen) if chosen else ""

    def next(self):
        on_c = "c.cell_integer_id = e.cell_integer_id"
        on_g = "g.gene_integer_id = e.gene_integer_id"
        kind = self.random.choice(["JOIN", "JOIN", "LEFT JOIN"])
        return self.random.choice(
            [
                lambda: f"SELECT c.cell_type, count(*), sum(e.value) FROM expression e {kind} cells c ON {on_c} JOIN genes g ON {on_g} {self.where(self.of_cells('c'), self.of_genes('g'), self.of_values('e'))} GROUP BY c.cell_type",
                lambda: f"SELECT c.cell_id, g.gene_id, e.value FROM cells c JOIN expression e ON {on_c} JOIN genes g ON {on_g} {self.where(self.of_cells('c'), self.of_genes('g'), self.of_values('e'))}",
                lambda: f"SELECT cell_id, gene_id, value FROM x {self.where(self.of_genes('x'), self.of_values('x'))}",
                lambda: f"SELECT c.cell_type, x.gene_id, avg(x.value), max(x.value) FROM x JOIN cells c USING (cell_id) {self.where(self.of_cells('c'), self.of_genes('x'))} GROUP BY c.cell_type, x.gene_id",
                lambda: f"SELECT e.cell_integer_id, e.value FROM expression e {self.where(self.of_values('e'))}",
                lambda: f"SELECT count(*), sum(value) FROM expression e WHERE e.cell_integer_id IN (SELECT c.cell_integer_id FROM cells c WHERE {self.of_cells('c')}) AND e.gene_integer_id NOT IN (SELECT g.gene_integer_id FROM genes g WHERE {self.of_genes('g')})",
                # A table joined with itself, where a column has the name of another.
                lambda: f"SELECT count(*), sum(a.value * b.value) FROM expression a JOIN expression b ON a.cell_integer_id = b.cell_integer_id JOIN genes g ON b.gene_integer_id = g.gene_integer_id JOIN cells c ON c.cell_integer_id = a.cell_integer_id WHERE {self.of_genes('g')} AND {self.of_cells('c')}",
                lambda: f"SELECT a.cell_id, a.value - b.value FROM x a JOIN x b ON a.cell_id = b.cell_id JOIN genes g ON a.gene_id = g.gene_id JOIN genes h ON b.gene_id = h.gene_id WHERE {self.of_genes('g')} AND {self.of_genes('h')}",
                lambda: f"SELECT c.cell_id, s.total FROM cells c {kind} (SELECT cell_integer_id, sum(value) AS total FROM expression GROUP BY cell_integer_id) s ON s.cell_integer_id = c.cell_integer_id {self.where(self.of_cells('c'))}",
                lambda: f"SELECT g.gene_id, e.n FROM genes g LEFT JOIN (SELECT gene_integer_id, count(*) AS n FROM expression WHERE cell_integer_id < 50 GROUP BY gene_integer_id) e ON {on_g} {self.where(self.of_genes('g'))}",
                lambda: f"SELECT c.cell_id FROM cells c WHERE EXISTS (SELECT 1 FROM expression e WHERE {on_c} AND {self.of_values('e')} AND e.gene_integer_id < 9) {'AND ' + self.of_cells('c')}",
                lambda: f"SELECT c.cell_id, g.gene_id FROM cells c JOIN genes g ON c.cell_integer_id = g.gene_integer_id LEFT JOIN expression e ON {on_c} AND {on_g} WHERE {self.of_cells('c')}",
                lambda: f"SELECT gene_id, row_number() OVER (ORDER BY n DESC, gene_id) AS place FROM (SELECT gene_id, count(*) AS n FROM x {self.where(self.of_genes('x'))} GROUP BY gene_id)",
                lambda: f"WITH t AS (SELECT cell_integer_id AS i FROM cells c WHERE {self.of_cells('c')} ORDER BY i LIMIT 7) SELECT e.* FROM expression e JOIN t ON e.cell_integer_id = t.i",
                lambda: f"SELECT e.gene_integer_id, e.value FROM expression e FULL JOIN (SELECT * FROM genes g WHERE {self.of_genes('g')}) g ON {on_g}",
                lambda: f"SELECT cell_id FROM x WHERE value > 3 UNION SELECT cell_id FROM cells c WHERE {self.of_cells('c')}",
            ]
        )()


def rows(frame):
    texts = frame.map(lambda v: "" if pd.isna(v) else f"{v:.9g}" if isinstance(v, (int, float)) else str(v))
    return sorted(map(tuple, texts.itertuples(index=False, name=None)))


def main():
    slaf, dataset, seed, count = sys.argv[1:5]
    connection = duckdb.connect()
    tables(connection, dataset)
    queries = Queries(connection, int(seed))
    different = 0
    for _ in range(int(count)):
        sql = queries.next()
        wanted = rows(connection.execute(sql).df())
        run = subprocess.run([slaf, "query", dataset, sql], capture_output=True, text=True)
        found = None
        if run.returncode == 0:
            found = rows(pd.read_csv(io.StringIO(run.stdout), sep="\t", na_values=[""], keep_default_na=False))
        if found != wanted:
            different += 1
            print(f"DIFFERENT {sql}\n  {run.stderr.strip()[:300]} {len(found or [])} rows, {len(wanted)} wanted")
    print(f"{count} queries, {different} different")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
