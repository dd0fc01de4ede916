"""One engine call in a fresh process on one thread and one core: what every timing here is made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
FIGURE_2 = [0.9696, 0.9237, 0.9906, 92.1598, 85.6196, 87.3824]

CHILD = """
import json, resource, sys, time
start = time.perf_counter()
import numpy as np
from cellfields import Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings
job = json.load(sys.stdin)
engine = PlaneWaveEngine(Crystal.from_lengths_and_angles(**job["crystal"]), PlaneWaveSettings(**job["settings"]))
result = {"import_seconds": time.perf_counter() - start, "seconds": []}
for _ in range(job["repeats"]):
    start = time.perf_counter()
    d = Deformation.from_array(job["deformation"])
    state = engine.solve(d) if job["relax"] else engine.evaluate(d, np.array(job["internal"]))
    result["seconds"].append(time.perf_counter() - start)
copies = engine.crystal.n_translations
result |= {"free_energy": state.free_energy / copies, "band_energy": state.band_energy / copies,
           "entropic_energy": state.entropic_energy / copies, "stress": state.stress.tolist(),
           "forces": state.forces.tolist(), "internal": state.internal.tolist(),
           "density": state.fields.vector("density").tolist() if job.get("fields") else None,
           "provenance": dict(state.provenance),
           "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
print(json.dumps(result))
"""


def start(job: dict, core: int) -> subprocess.Popen:
    """Start a job (crystal, settings, deformation, internal, relax, repeats) on a core."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **ONE_THREAD},
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(job))
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: subprocess.Popen) -> dict:
    """The result of a started job."""
    output, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"the measured process failed with exit code {process.returncode}")
    return json.loads(output)


def run(job: dict, core: int) -> dict:
    """Start and finish."""
    return finish(start(job, core))
