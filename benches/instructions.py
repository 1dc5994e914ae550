#!/usr/bin/env python3
"""Counts the instructions of each kernel with callgrind and compares them with those of instructions.json.

    cargo bench --no-run --bench kernels
    python benches/instructions.py              # ends with 1 where one grew by more than 5 %
    python benches/instructions.py --keep       # what is counted now is what is compared with from now on

Counts do not depend on what else the machine does. They do depend on the compiler and, by the choice that libraries make
when they start, on the processor: keep new ones with a new compiler.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from measure import HERE, newest_bench, table

KEPT = HERE / "instructions.json"
MOST = 0.05


def count(program, kernel, rounds):
    """Instructions of so many rounds."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=kernels::measured"]
    done = subprocess.run([*command, program, kernel, str(rounds)], capture_output=True, text=True)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not counted or not int(counted[1]):
        raise SystemExit(f"{kernel}: callgrind counted nothing:\n{done.stderr[-2000:]}")
    return int(counted[1]), int(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    parser.add_argument("--kernels", type=Path, help="the program (default: the newest that cargo bench built)")
    parser.add_argument("--keep", action="store_true", help="keep the counts")
    given = parser.parse_args()
    if not shutil.which("valgrind"):
        parser.error("valgrind is needed")
    if given.kernels is None:
        given.kernels = newest_bench(parser, target, "kernels")
    names = subprocess.run([given.kernels, "--list"], capture_output=True, text=True, check=True).stdout.split()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    counted, lines, grown = {}, [], []
    for name in names:
        # The first round fills caches that live as long as the program.
        first, _ = count(given.kernels, name, 1)
        both, entries = count(given.kernels, name, 2)
        counted[name] = round((both - first) / (entries / 2), 3)
        change = counted[name] / kept[name] - 1 if name in kept else None
        lines.append([name, f"{counted[name]:.1f}", "new" if change is None else f"{change:+.1%}"])
        if change is not None and change > MOST:
            grown.append(name)
    print(table(["kernel", "instructions an entry", "change"], lines))
    if given.keep:
        KEPT.write_text(json.dumps(counted, indent=1) + "\n")
    elif grown:
        sys.exit(f"more than {MOST:.0%} more than before: {', '.join(grown)}")


if __name__ == "__main__":
    main()
