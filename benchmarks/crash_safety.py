"""Is a campaign safe against being killed? SIGKILL at random moments, and every call of the file system that can fail.

    python benchmarks/crash_safety.py [--kills 1000] [--pool-kills 250] [--seed 0] [--directory /tmp] [--json FILE]

**Kills.** A campaign labels 90 strains with an engine that takes milliseconds and returns four fields. It is killed at
a random moment, every file is checked, the campaign is resumed and killed again, until the dataset is complete; then
its files must be those of a campaign that nobody killed, byte for byte, and the next dataset begins. Two ways to work:

    pool     ``label(workers=2)`` with its own spawned processes, as the command line does it. Victims: the parent
             (most kills), one worker, or all three processes.
    array    three processes that label a third of the strains each, in one dataset, as the tasks of a job array would.
             Victims: one of them while the others go on, or all. They are forked from this process, in milliseconds
             instead of the second that starting Python and loading NumPy takes, so more kills fit into an hour.

A state is *acknowledged* when the outside was told: the worker that sealed it wrote a line into a pipe after
``DatasetStore.write`` returned, or the campaign wrote one at its event "solved". The pipe outlives the process, so
what is in it was said before the kill. Every solve is announced there before it begins: that counts the work lost.
While the writers run, this process reads states at random, and all of them after each kill.

A kill leaves the page cache alone, so this says nothing about power cuts. Neither does it hit workers of somebody's
executor: those return their states, and what the campaign's own process has not sealed yet is lost with it.

**Faults.** Every call (create, write, fsync, rename, …) of a small campaign, new and resumed, fails once, fails from
then on, writes short, is the last one of its process, or the last one before a power cut, on a disk that then keeps
only what was fsynced (``tests/dataset/faults.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # this process forks, so it must have no threads
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._killing import STRAINS, WORKERS, Experiment, content
from cellfields import DatasetStore
from tests.dataset.engines import TABLE
from tests.dataset.faults import FAULTS, all_trials
from tests.toy import magnesium


def kill_campaigns(way: str, most_kills: int, directory: Path, seed: int) -> dict[str, Any]:
    """Datasets until there were so many kills."""
    keys = [DatasetStore.create_or_open(directory / "keys", magnesium(), TABLE).key(strain) for strain in STRAINS]
    undisturbed = Experiment("array", directory / "undisturbed", random.Random(seed), {}, keys)
    undisturbed.make_dataset(0)
    found = Experiment(way, directory / way, random.Random(seed), content(directory / "undisturbed"), keys)
    kills, begin, seconds = 0, time.monotonic(), 0.0
    while kills < most_kills:
        before, kills = kills, kills + found.make_dataset(most_kills - kills)
        seconds = time.monotonic() - begin
        if kills // 50 > before // 50:
            print(f"{way}: {kills} kills, {found.counts['datasets']} datasets, {seconds:.0f} s", flush=True)
    return {
        "kills": kills,
        **dict(sorted(found.counts.items())),
        "solves lost per kill": found.counts["solves lost"] / kills,
        "most solves lost by a kill, per worker": found.most_lost / WORKERS[way],
        "longest until all workers of a killed campaign were gone, s": round(found.slowest_end, 3),
        "seconds": round(seconds, 1),
    }


def break_files(directory: Path) -> dict[str, Any]:
    """Every fault at every call."""
    trials = list(all_trials(directory))
    return {
        "trials": len(trials),
        "by fault": {fault: sum(trial.fault == fault for trial in trials) for fault in FAULTS},
        "by ending": dict(sorted(Counter(trial.ending for trial in trials).items())),
        "acknowledged states lost": sum(trial.lost for trial in trials),
        "corrupt reads": sum(trial.corrupt for trial in trials),
        "not resumed to the same dataset": sum(not trial.complete for trial in trials),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--pool-kills", type=int, default=250, help="how many of them in the slower way")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--directory", type=Path, help="on the disk to be tested; default: the temporary directory")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    pool_kills = min(arguments.pool_kills, arguments.kills)
    report: dict[str, Any] = {"seed": arguments.seed}
    with tempfile.TemporaryDirectory(dir=arguments.directory) as scratch:
        for way, kills in (("pool", pool_kills), ("array", arguments.kills - pool_kills)):
            if kills:
                report[way] = kill_campaigns(way, kills, Path(scratch), arguments.seed)
        (Path(scratch) / "faults").mkdir()
        report["faults"] = break_files(Path(scratch) / "faults")
    print(json.dumps(report, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
