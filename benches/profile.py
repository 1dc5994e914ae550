#!/usr/bin/env python3
"""Where the processor's time of a conversion goes, by kind of work, for each kind of input. See README.md.

    cargo build --release
    python benches/profile.py --work DIR            # after convert.py, parts.py and tenx.py, which make the inputs

Needs Linux's perf. Every function is counted for what it does itself, without those it calls.
"""

import argparse
import re
import shutil
import subprocess
from pathlib import Path

from measure import add_arguments, machine, table

# The first pattern that matches a function's name tells what kind of work it is.
KINDS = [
    ("inflate", r"deflate|inflate|build_decode_table|crc32|adler"),
    ("parse text", r"tenx_mtx|source::text|memchr"),
    ("check, narrow, expand, digest", r"slaf::chunk|blake3"),
    ("turn", r"source::transpose"),
    ("read chunks", r"slaf::source|hdf5|^H5|^_?H5"),
    ("encode", r"lance|fsst|ZSTD|HUF_|FSE_|LZ4|bitpack|arrow"),
    ("copy and fill", r"memmove|memcpy|memset"),
    ("allocate", r"\bmi_|_mi_|malloc|free"),
]


def profile(command, data):
    """The share of each kind of work, of what the system does for it, and of the rest."""
    recorded = ["perf", "record", "--quiet", "-F", "1999", "-e", "cpu-clock", "-o", data, *command]
    subprocess.run([str(word) for word in recorded], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    report = ["perf", "report", "-i", str(data), "--no-children", "--sort", "symbol", "--stdio"]
    lines = subprocess.run(report, capture_output=True, text=True, check=True).stdout.splitlines()
    shares = {}
    for line in lines:
        found = re.match(r"\s*([\d.]+)%\s+\[(.)\]\s+(.*)", line)
        if not found:
            continue
        share, where, name = float(found[1]), found[2], found[3].strip()
        if where == "k":
            kind = "system: new pages" if re.search(r"clear_page|fault|folio_zero", name) else "system: files, threads"
        else:
            kind = next((kind for kind, pattern in KINDS if re.search(pattern, name)), "rest")
        shares[kind] = shares.get(kind, 0) + share
    return shares


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    given = parser.parse_args()
    counts = "counts-20000x20000-0.08-1-"
    cases = {
        "gzip": [given.work / f"{counts}gzip.h5ad"],
        "plain": [given.work / f"{counts}plain.h5ad"],
        "gzip, signed": ["--dtypes", "signed", given.work / f"{counts}gzip.h5ad"],
        "by gene": [given.work / f"{counts}gzip-csc.h5ad"],
        "layers": [given.work / f"{counts}gzip-layered.h5ad"],
        "10x H5": [given.work / "tenx-20000x20000-0.08-1.h5"],
        "MTX.gz": [given.work / "tenx-20000x20000-0.08-1-mtx"],
    }
    cases = {name: command for name, command in cases.items() if Path(command[-1]).exists()}
    output, data = given.work / "profile.slaf", given.work / "profile.data"
    found = {}
    for name, command in cases.items():
        shutil.rmtree(output, ignore_errors=True)
        data.unlink(missing_ok=True)  # perf would keep it under another name
        found[name] = profile([given.slaf, "convert", "--quiet", "--threads", 2, *command, output], data)
    shutil.rmtree(output, ignore_errors=True)
    data.unlink(missing_ok=True)
    kinds = [kind for kind, _ in KINDS] + ["rest", "system: new pages", "system: files, threads"]
    print(f"{machine()}; % of the processor's time\n")
    rows = [[kind, *(f"{shares.get(kind, 0):.0f}" for shares in found.values())] for kind in kinds]
    print(table(["", *found], rows))


if __name__ == "__main__":
    main()
