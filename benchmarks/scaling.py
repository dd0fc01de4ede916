"""Time and memory of one self-consistent solve against k points and cutoff, as a table, JSON and a plot.

    python benchmarks/scaling.py [--json FILE] [--plot FILE.png] [--core 0]

hcp Mg at the strain of the paper's Figure 2, built-in pseudopotential, atoms held, one core, one thread, fresh process.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._child import FIGURE_2, run
from tests.reference.abinit.make_references import MAGNESIUM

MESHES = (12, 16, 20, 27)
CUTOFFS = (12, 24, 36)


def measure(cutoff: float, mesh: int, core: int) -> dict:
    """One point: cold and warm seconds, memory, sizes."""
    settings = {"cutoff": cutoff, "kmesh": [mesh] * 3, "smearing": "cold", "smearing_width": 0.01}
    job = {"crystal": MAGNESIUM, "settings": settings, "deformation": FIGURE_2, "internal": [0.0168, 0.0029, 0.0004]}
    result = run(job | {"relax": False, "repeats": 2}, core)
    row = {
        "cutoff": cutoff,
        "mesh": mesh,
        "k_points": result["provenance"]["k_points"],
        "cold_s": result["seconds"][0],
        "warm_s": result["seconds"][1],
        "peak_memory_mib": result["peak_memory_mib"],
        "free_energy": result["free_energy"],
        "entropic_energy": result["entropic_energy"],
    }
    print(
        f"{cutoff:6g} {mesh:5d} {row['k_points']:9d} {row['cold_s']:9.2f} {row['warm_s']:9.2f} "
        f"{row['peak_memory_mib']:10.0f} {row['free_energy']:14.8f} {1e6 * row['entropic_energy']:10.3f}",
        flush=True,
    )
    return row


def plot(rows: list[dict], path: Path) -> None:
    """Time and memory against k points, log–log."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    chosen = [r for r in rows if r["cutoff"] == 24]
    left.loglog([r["k_points"] for r in chosen], [r["warm_s"] for r in chosen], "o-", label="time (s)")
    left.loglog([r["k_points"] for r in chosen], [r["peak_memory_mib"] / 1024 for r in chosen], "s--", label="GiB")
    left.set(xlabel="k points (24 Ha)")
    left.legend(frameon=False)
    chosen = [r for r in rows if r["mesh"] == 12]
    right.loglog([r["cutoff"] for r in chosen], [r["warm_s"] for r in chosen], "o-", label="time (s)")
    right.loglog([r["cutoff"] for r in chosen], [r["peak_memory_mib"] / 1024 for r in chosen], "s--", label="GiB")
    right.set(xlabel="cutoff, Ha (1,732 k points)")
    right.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--core", type=int, default=0)
    arguments = parser.parse_args()
    heads = ("cutoff", "mesh", "k points", "cold (s)", "warm (s)", "peak MiB", "F (Ha/2 at.)", "-TS (uHa)")
    print("{:>6} {:>5} {:>9} {:>9} {:>9} {:>10} {:>14} {:>10}".format(*heads))
    rows = [measure(24, mesh, arguments.core) for mesh in MESHES]
    rows += [measure(cutoff, 12, arguments.core) for cutoff in CUTOFFS if cutoff != 24]
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.plot is not None:
        plot(rows, arguments.plot)


if __name__ == "__main__":
    main()
