"""What the benches share: inputs, programs, and what a child process took.

A child's peak memory, as Linux reports it, is never less than what its parent had when it started it: whoever imports
this must stay small, which is why numbers are made and read in children.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import inputs

HERE = Path(__file__).resolve().parent
MIB = 1 << 20


def add_arguments(parser):
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    parser.add_argument("--work", type=Path, required=True, help="folder of inputs (kept) and outputs (removed)")
    parser.add_argument("--genes", type=int, default=20000)
    parser.add_argument("--slaf", type=Path, default=target / "release" / "slaf", help="the program, optimised")
    parser.add_argument("--json", type=Path, help="file for the numbers of every run")
    return target


def input_files(work, cells, genes):
    """The files and what is in them; made where they are missing."""
    work.mkdir(parents=True, exist_ok=True)
    files, description = inputs.paths(work, cells, genes)
    if not description.exists():
        print(f"making {cells} × {genes} counts", file=sys.stderr)
        command = [sys.executable, HERE / "inputs.py", "--cells", cells, "--genes", genes, "--work", work]
        subprocess.run([str(word) for word in command], check=True)
    return files, json.loads(description.read_text())


def newest_bench(parser, target, name):
    """The newest program of this name that cargo bench built."""
    built = [path for path in (target / "release" / "deps").glob(f"{name}-*") if not path.suffix]
    if not built:
        parser.error(f"no program {name}: cargo bench --no-run --bench {name}")
    return max(built, key=lambda path: path.stat().st_mtime)


def machine():
    """The machine, in a line."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    system = f"Linux {platform.release().split('-')[0]}"
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {system}, load {os.getloadavg()[0]:.1f}"


class Waiting:
    """Adds up how long the threads of a process were ready and had no processor, because others had it."""

    def __init__(self, pid):
        self.tasks, self.seconds = Path(f"/proc/{pid}/task"), {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.ended.wait(0.02):
            try:
                for task in self.tasks.iterdir():
                    self.seconds[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
            except (OSError, IndexError):  # a thread ended
                continue

    def stop(self):
        self.ended.set()
        self.thread.join()
        return sum(self.seconds.values())


def run(command):
    """Runs a program to its end; what it took, and what it printed."""
    os.sync()  # what earlier runs wrote must not be this one's burden
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        child = subprocess.Popen([str(word) for word in command], stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        waiting = Waiting(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        waited = waiting.stop()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode != 0:
            message = err.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(map(str, command))} ended with {child.returncode}:\n{message}")
        took = {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "waited_s": waited}
        took["peak_rss"] = usage.ru_maxrss * 1024
        return took, out.read().decode()


def convert(command, output, non_zeros, tells=False):
    """Runs a conversion, which `tells` in its last line what it took, and checks how many rows came out."""
    shutil.rmtree(output, ignore_errors=True)
    took, printed = run(command)
    if tells:
        took |= json.loads(printed.splitlines()[-1])
    written = json.loads((output / "config.json").read_text())["metadata"]["expression_count"]
    if written != non_zeros:
        raise SystemExit(f"{output.name} holds {written} non-zeros instead of {non_zeros}")
    size = lambda folder: sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    took |= {"non_zeros": non_zeros, "bytes": size(output), "expression_bytes": size(output / "expression.lance")}
    shutil.rmtree(output)
    return took


def spread(values, digits):
    """Median and extremes."""
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def table(head, rows):
    """A Markdown table; the first column is text."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
