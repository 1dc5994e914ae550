#!/usr/bin/env python3
"""Every hash that slaf writes, computed a second time from what lies beside it.

    python tests/python/written_hashes.py DATASET.slaf [FILE.h5ad]

DATASET is complete, or a job in it was killed after its shards were written, or both; FILE is what it was made from,
where its plan names the digest of a list of genes. Prints a line for each kind of hash with how many there were, then
`ok`; exits 1 at the first that differs.

Nothing of this is slaf's own code: where the two differ, one of them no longer says what datasets in the world say.
"""
import json, math, re, struct, sys
from collections import Counter
from pathlib import Path

import blake3
import lance
import pyarrow as pa
import xxhash

M64, M128 = (1 << 64) - 1, (1 << 128) - 1
GOLDEN = 0x9E3779B97F4A7C15
seen = Counter()


def same(kind, what, expected, found):
    seen[kind] += 1
    if expected != found:
        sys.exit(f"{kind} of {what}: slaf wrote {expected}, it is {found}")


def short_blake3(data):
    return blake3.blake3(data).hexdigest()[:32]


def rotated(word, by):
    return (word << by | word >> 64 - by) & M64


def bits(value):
    """Of a float64. Every NaN is the same."""
    return struct.unpack("<Q", struct.pack("<d", math.nan if math.isnan(value) else value))[0]


# ---- the digest of a matrix: a sum over its entries, by the names of their row and column


def id_hash(name):
    return int.from_bytes(blake3.blake3(name.encode()).digest()[:8], "little")


def entry(row, column, value):
    b = bits(value) * GOLDEN & M64
    product = ((row + b) & M64) * (column ^ rotated(b, 32))
    low, high = product & M64, product >> 64
    second = (low * 0xD6E8FEB86659FD93 & M64 ^ rotated(high, 29)) * 0xFF51AFD7ED558CCD & M64
    return second << 64 | low ^ high


# ---- the digest of a table that describes cells or genes: a sum over its rows, by the names of columns


def framed(data):
    return struct.pack("<Q", len(data)) + data


def value_bytes(value, kind):
    if pa.types.is_fixed_size_list(kind):
        items = (framed(b"") if item is None else value_bytes(item, kind.value_type) for item in value)
        return struct.pack("<Q", kind.list_size) + b"".join(items)
    if pa.types.is_boolean(kind):
        return framed(bytes([value]))
    if pa.types.is_integer(kind):
        return framed(value.to_bytes(16, "little", signed=True))
    if pa.types.is_floating(kind):
        return framed(struct.pack("<Q", bits(value + 0.0)))
    assert pa.types.is_string(kind), kind
    return framed(value.encode())


def frame_digest(table):
    total = 0
    for row in table.to_pylist():
        data = b""
        for field in table.schema:
            if row[field.name] is not None:
                data += framed(field.name.encode()) + value_bytes(row[field.name], field.type)
        total += int.from_bytes(blake3.blake3(data).digest()[:16], "little")
    return f"{total & M128:032x}"


# ---- what cells hold


def without_version(name):
    found = re.fullmatch(r"(ENS[A-Z]*[GTPE]\d+)\.\d+(?:_\d+)?((?:_PAR_Y)?)", name)
    return found.group(1) + found.group(2) if found else name


def contents(entries):
    """Of (identity of a gene, value) of one cell."""
    if not sum(value for _, value in entries if math.isfinite(value)) >= 10:
        return 0
    total = 0
    for gene, value in entries:
        b = bits(value) * GOLDEN & M64
        product = (gene ^ rotated(b, 32)) * ((gene + b & M64) ^ 0xD6E8FEB86659FD93)
        total += product & M64 ^ product >> 64
    return max(total & M64, 1)


def xxh3(data):
    return xxhash.xxh3_64_intdigest(data.encode() if isinstance(data, str) else data)


def words(numbers):
    return b"".join(struct.pack("<Q", number) for number in numbers)


# ---- a complete dataset


def check_dataset(folder, config):
    versions = config["versions"]
    tables = {}
    for key, name in config["tables"].items():
        tables[key] = lance.dataset(str(folder / name), version=versions[key])
    rows = {key: table.to_table() for key, table in tables.items()}
    for key in ["cells", "genes"]:
        same("digest of a frame", key, config["digests"][key], frame_digest(rows[key]))
    cells = rows["cells"]["cell_id"].to_pylist()
    genes = rows["genes"]["gene_id"].to_pylist()
    hashes = dict(cells=[id_hash(name) for name in cells], genes=[id_hash(name) for name in genes])
    originals = {(note["part"], note["written_as"]): note["column"] for note in config.get("column_notes", [])}
    kinds = {
        "expression": ("", "cell_integer_id", "cells", "gene_integer_id", "genes"),
        "layers": ("layers", "cell_integer_id", "cells", "gene_integer_id", "genes"),
        "cellsxcells": ("obsp", "cell_integer_id_i", "cells", "cell_integer_id_j", "cells"),
        "genesxgenes": ("varp", "gene_integer_id_i", "genes", "gene_integer_id_j", "genes"),
    }
    held = [[] for _ in cells]
    stable = rows["genes"].column("gene_ids").to_pylist() if "gene_ids" in rows["genes"].schema.names else [None] * len(genes)
    known_by = [xxh3(without_version(of or name)) for of, name in zip(stable, genes)]
    starts = [source["first_cell"] for source in config["sources"]]
    for key, (part, row_id, row_names, column_id, column_names) in kinds.items():
        if key not in rows:
            continue
        table = rows[key]
        row_ids, column_ids = (table[name].to_pylist() for name in (row_id, column_id))
        for column in table.schema.names:
            if column in (row_id, column_id):
                continue
            sums = [0] * len(starts)
            for row, gene, value in zip(row_ids, column_ids, table[column].to_pylist()):
                if not value:
                    continue
                # Pairs of genes are those of the first input that has them.
                source = 0 if part == "varp" else sum(first <= row for first in starts) - 1
                while part != "varp" and not config["sources"][source]["cells"]:
                    source -= 1
                sums[source] += entry(hashes[row_names][row], hashes[column_names][gene], float(value))
                if key == "expression":
                    held[row].append((known_by[gene], float(value)))
            name = f"{part}/{originals.get((part, column), column)}" if part else "expression"
            for source, total in zip(config["sources"], sums):
                if name in source["digests"]:
                    same("digest of a matrix", f"{name} of {source['source_file']}", source["digests"][name], f"{total & M128:032x}")
    first = 0
    for file in config["cell_hashes"]:
        of = range(first, first + file["cells"])
        first = of.stop
        path = folder / "cells.lance" / "_hashes" / file["job"][:16]
        data = path.with_name(path.name + ".u64").read_bytes()
        same("hashes of identifiers", path.name, data, words(xxh3(cells[cell]) for cell in of))
        same("XXH3 of a file of hashes", path.name, file["xxh3"], f"{xxh3(data):016x}")
        data = path.with_name(path.name + ".contents.u64").read_bytes()
        same("hashes of what cells hold", path.name, data, words(contents(held[cell]) for cell in of))
        same("XXH3 of a file of hashes", path.name, file["contents"]["xxh3"], f"{xxh3(data):016x}")
        total = sum(int(source["digests"]["expression"], 16) for source in config["sources"] if source["first_cell"] in of)
        same("digest of the cells of a job", path.name, file["contents"]["digest"], f"{total & M128:032x}")
    if "uns_xxh3" in config:
        data = (folder / "uns.json").read_bytes()
        same("XXH3 of uns.json", "uns.json", config["uns_xxh3"], f"{xxh3(data):016x}")
    for source in config["sources"]:
        end = source["first_cell"] + source["cells"]
        own, listed = cells[source["first_cell"] : end], genes
        fingerprint = source["fingerprint"]
        if fingerprint["cells"] == len(own) and fingerprint["genes"] == len(listed) and not source.get("gene_join"):
            same("digest of identifiers", source["source_file"], fingerprint["ids"], identifiers(own, listed))
    for table in tables.values():
        for fragment in table.get_fragments():
            for file in fragment.data_files():
                check_data_file(Path(table.uri) / "data" / file.path)


def check_data_file(path):
    same("XXH3 in the name of a data file", path.name, path.stem[-16:], f"{xxh3(path.read_bytes()):016x}")


def listed(names):
    return b"".join(framed(name.encode()) for name in names)


def identifiers(cells, genes):
    sized = [struct.pack("<Q", len(names)) + listed(names) for names in (cells, genes)]
    return short_blake3(b"".join(sized))


# ---- a job under way


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def job_id(plan):
    """The plan as it was decided, whatever was learned later and wherever its inputs lie."""
    plan = json.loads(json.dumps(plan))
    for planned in plan["inputs"]:
        planned["path"] = ""
    plan["duplicate_sources"] = "refuse"
    for key in ["mixed_scales", "same_counts"]:
        plan.pop(key, None)
    matrices = [plan, *plan["layers"], *plan["obsp"], *plan["varp"]]
    for value in (matrix["value"] for matrix in matrices):
        value["value_type"] = value["guess"]
        value["exact"] = ["uint16", "uint32", "int32", "float32", "float64"]
        value["widened"] = []
    return short_blake3(compact(plan))


def unsealed(path):
    """A file that has the digest of the rest of it."""
    value = json.loads(path.read_text())
    digest = value.pop("digest")
    same("digest of a file of a job", path.name, digest, short_blake3(compact(value)))
    return value


def check_job(folder, checkpoint, file):
    own = folder / checkpoint["folder"]
    same("folder of a job", folder.name, own.name, f".job-{checkpoint['job'][:16]}")
    job = unsealed(own / "plan.json")
    plan = job["plan"]
    same("job", folder.name, (checkpoint["job"], job["job"]), (job_id(plan), job_id(plan)))
    tables = dict(expression="expression", layers="layers", cellpairs="cellsxcells", genepairs="genesxgenes")
    for path in (own / "records").iterdir():
        record = unsealed(path)
        same("name of a record", path.name, path.stem, str(record["shard"]))
        if counts := record.get("counts"):
            data = (own / counts["file"]).read_bytes()
            same("digest of counts", counts["file"], (counts["digest"], counts["bytes"]), (short_blake3(data), len(data)))
        if record.get("contents"):
            name = f"contents-{record['shard']}.u64"
            same("XXH3 of a file of hashes", name, record["contents"], f"{xxh3((own / name).read_bytes()):016x}")
        for name, digest in record.get("files", {}).items():
            same("XXH3 of a file of a job", name, digest, f"{xxh3((own / name).read_bytes()):016x}")
        shards = plan["shards"] + plan["frames"]
        kind = shards[record["shard"]]["table"]
        table = tables.get(kind, kind)
        for fragment in record["fragments"]:
            for data in fragment["files"]:
                check_data_file(folder / f"{table}.lance" / "data" / data["path"])
    if file is not None:
        import anndata

        a = anndata.read_h5ad(file)
        planned = plan["inputs"][-1]
        same("digest of identifiers", file, planned["fingerprint"]["ids"], identifiers(a.obs_names, a.var_names))
        if plan["gene_plan"]["key"] == "id" and "gene_list" in planned:
            same("digest of a list of genes", file, planned["gene_list"], short_blake3(listed(a.var_names)))


def main():
    folder, file = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    config = json.loads((folder / "config.json").read_text())
    if "array_shape" in config:
        check_dataset(folder, config)
    if "checkpoint" in config:
        check_job(folder, config["checkpoint"], file)
    assert seen, "nothing was compared"
    for kind, count in sorted(seen.items()):
        print(f"{kind}: {count}")
    print("ok")


if __name__ == "__main__":
    main()
