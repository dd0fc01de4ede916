"""Does a second process on the second core slow the first? One relaxed label alone, then two at the same time.

python benchmarks/two_processes.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._child import FIGURE_2, finish, run, start
from tests.reference.abinit.make_references import MAGNESIUM


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    settings = {"cutoff": 24, "kmesh": [12, 12, 12], "smearing": "cold", "smearing_width": 0.01}
    job = {"crystal": MAGNESIUM, "settings": settings, "deformation": FIGURE_2, "internal": []}
    job |= {"relax": True, "repeats": 1 + arguments.repeats}
    alone = [median(run(job, core)["seconds"][1:]) for core in (0, 1)]
    together = [median(finish(p)["seconds"][1:]) for p in [start(job, core) for core in (0, 1)]]
    slower = [t / a - 1 for t, a in zip(together, alone, strict=True)]
    for core in (0, 1):
        print(f"core {core}: alone {alone[core]:.2f} s, together {together[core]:.2f} s: {100 * slower[core]:+.1f} %")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"alone_s": alone, "together_s": together}, indent=1) + "\n")


if __name__ == "__main__":
    main()
