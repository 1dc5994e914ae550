#!/usr/bin/env python3
"""Runs the benches at one size and gathers their tables and numbers. See README.md.

    cargo build --release && cargo bench --no-run
    python benches/bench.py --work DIR                          # all but SOMA, at 20,000 × 20,000
    python benches/bench.py --work DIR --only convert --cells 200000
    python benches/bench.py --work DIR --only soma              # in a Python that has tiledbsoma

Inputs are made where they are missing. The tables go to standard output and to DIR/bench.md, the numbers of every run to
DIR/bench.json.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from measure import HERE

# The benches, and what each needs to know of the size.
BENCHES = {
    "convert": lambda given: ["--cells", given.cells, "--genes", given.genes],
    "parts": lambda given: ["--cells", given.cells, "--genes", given.genes],
    "tenx": lambda given: ["--cells", given.cells, "--genes", given.genes],
    "several": lambda given: [],
    "writers": lambda given: [],
    "memory": lambda given: ["--cells", given.cells, 10 * given.cells, "--genes", given.genes],
    "soma": lambda given: ["--cells", given.cells, "--genes", given.genes],
    "big": lambda given: ["--genes", 30000],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of inputs, tables and numbers")
    parser.add_argument("--cells", type=int, default=20000)
    parser.add_argument("--genes", type=int, default=20000)
    parser.add_argument("--runs", type=int, help="of each case (default: what each bench thinks best)")
    parser.add_argument("--slaf", type=Path, help="the program, optimised")
    parser.add_argument("--only", choices=BENCHES, nargs="+", default=["convert", "parts", "tenx", "several", "memory"])
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    tables, numbers = [], {}
    for name in given.only:
        to = given.work / f"{name}.json"
        command = [sys.executable, HERE / f"{name}.py", "--work", given.work, "--json", to, *BENCHES[name](given)]
        if given.slaf:
            command += ["--slaf", given.slaf]
        if given.runs:
            command += ["--runs", given.runs]
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True)
        print(f"## {name}\n\n{done.stdout}", flush=True)
        tables.append(f"## {name}\n\n{done.stdout}")
        numbers[name] = json.loads(to.read_text())
    (given.work / "bench.md").write_text("\n".join(tables))
    (given.work / "bench.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
