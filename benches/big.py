#!/usr/bin/env python3
"""A million cells × 30,000 genes from end to end: killed half-way, resumed, verified. See README.md.

    cargo build --release
    python benches/big.py --work DIR            # 5.3 GB of input, 6.3 GB of output

The counts of 20,480 cells come again and again, under names of their own. What a conversion takes at its peak is measured
beside that of 50,000 such cells.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

import inputs
from measure import MIB, add_arguments, machine, spread, table

DISTINCT = 20480
FEWER = 50_000


def shards_written(output):
    """How many shards a checkpoint has recorded; it is replaced as a whole."""
    try:
        return len((json.loads((output / "config.json").read_text()).get("checkpoint") or {}).get("shards", ()))
    except FileNotFoundError:
        return 0


def run(command, kill_when=None):
    """What a program took; it is killed as soon as `kill_when` says so."""
    os.sync()
    started = time.perf_counter()
    child = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    while kill_when and child.poll() is None and not kill_when():
        time.sleep(0.1)
    if kill_when:
        child.send_signal(signal.SIGKILL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    expected = -signal.SIGKILL if kill_when else 0
    if child.returncode != expected:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {child.returncode}")
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_rss": usage.ru_maxrss * 1024}


def input_of(given, cells):
    """A file of so many cells, and what is in it; made where it is missing."""
    made = given.work, cells, given.genes, given.density, 1, DISTINCT
    files, description = inputs.paths(*made)
    if not description.exists():
        # In a child, so that this process stays small.
        child = multiprocessing.Process(target=inputs.make, args=made, kwargs={"kinds": ["gzip"], "level": 1})
        child.start()
        child.join()
    return files["gzip"], json.loads(description.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.set_defaults(genes=30000)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--density", type=float, default=0.0767)
    parser.add_argument("--runs", type=int, default=3, help="of the conversions whose peak memory is compared")
    parser.add_argument("--flags", default="", help='flags of "slaf convert" to add, such as "--memory=256MiB"')
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    path, about = input_of(given, given.cells)
    output = given.work / "output.slaf"
    shutil.rmtree(output, ignore_errors=True)
    convert_of = lambda path: [given.slaf, "convert", "--quiet", "--threads", 2, *given.flags.split(), path, output]
    convert = convert_of(path)
    half = about["non_zeros"] // 100_000_000 // 2 + 1
    steps = {}
    where = machine()
    print(f"until {half} shards are recorded, then SIGKILL", file=sys.stderr)
    steps["convert, killed"] = run(convert, lambda: shards_written(output) >= half)
    kept = shards_written(output)
    print(f"{kept} shards are kept; the rest", file=sys.stderr)
    steps["convert, resumed"] = run(convert)
    dataset = json.loads((output / "config.json").read_text())
    if dataset["metadata"]["expression_count"] != about["non_zeros"]:
        raise SystemExit("not all non-zeros are there")
    names = {name for table in output.glob("*.lance") for name in os.listdir(table / "data")}
    size = sum(path.stat().st_size for path in (output / "expression.lance").rglob("*") if path.is_file())
    print("verify", file=sys.stderr)
    steps["verify"] = run([given.slaf, "verify", "--quiet", "--threads", 2, output])
    shutil.rmtree(output)
    peaks = {}
    fewer, about_fewer = input_of(given, FEWER)
    for number in range(given.runs):
        for cells, one in ((FEWER, fewer), (given.cells, path)):
            print(f"round {number + 1}: {cells} cells", file=sys.stderr)
            peaks.setdefault(cells, []).append(run(convert_of(one))["peak_rss"] / MIB)
            shutil.rmtree(output)

    killed, resumed = steps["convert, killed"], steps["convert, resumed"]
    both = {key: killed[key] + resumed[key] for key in ("wall_s", "cpu_s")}
    steps["convert, both runs"] = both | {"peak_rss": max(killed["peak_rss"], resumed["peak_rss"])}
    lines = []
    for name in ("convert, killed", "convert, resumed", "convert, both runs", "verify"):
        step = steps[name]
        whole = name in ("convert, both runs", "verify")
        rate = lambda seconds: f"{about['non_zeros'] / seconds / 1e6:.1f}" if whole else "–"
        lines.append([
            name, rate(step["cpu_s"]), rate(step["wall_s"]), f"{step['wall_s']:.0f}", f"{step['cpu_s']:.0f}",
            f"{step['peak_rss'] / MIB:.0f}", f"{size / about['non_zeros']:.3f}" if whole else "–",
        ])
    print(f"{where}\n")
    print(f"{about['cells']:,} cells × {about['genes']:,} genes, {about['non_zeros']:,} non-zeros; gzip "
          f"{about['bytes']['gzip'] / MIB:,.0f} MiB; killed after {kept} shards; {len(names)} data files\n")
    head = ["", "M non-zeros / CPU s", "M non-zeros / s", "wall s", "CPU s", "peak RSS MiB", "bytes / non-zero"]
    print(table(head, lines))
    middle = [statistics.median(values) for values in peaks.values()]
    line = ["convert", *(spread(values, 0) for values in peaks.values()), f"{middle[1] / middle[0]:.2f}"]
    print()
    print(table(["peak RSS MiB", *(f"{cells:,} cells" for cells in peaks), "last / first"], [line]))
    to = given.json or given.work / "big.json"
    numbers = {"machine": where, "input": about, "fewer": about_fewer, "kept": kept, "steps": steps, "peaks": peaks}
    to.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
