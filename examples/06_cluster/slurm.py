"""Label a study on a SLURM cluster: this process stays on the login node, its workers are batch jobs of one node each.

    python slurm.py study.toml            # in tmux or with nohup; the same command resumes

What it shows: the only difference to a laptop is the executor. Edit the block of capitals. Needs
`pip install '.[cluster]'` in an environment that the nodes see too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from local_blocks import label_with
from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SrunLauncher
from parsl.providers import SlurmProvider

from cellfields.pipeline.study import Study

ACCOUNT = "my_project"
PARTITION = "standard"
HOURS = 8  # walltime of a job
LONGEST_SOLVE = 0.5  # hours; no solve is begun later than this before a job's end
JOBS = 4  # at a time, most
CORES = 64  # of a node
CORES_A_SOLVE = 1  # more only for an engine that runs in parallel itself: [abinit] command = "mpirun -n 8 abinit"
WORKER_INIT = """
source ~/cellfields/.venv/bin/activate
export OMP_NUM_THREADS=1
"""


def slurm(run_directory: Path) -> Config:
    """Jobs are asked for while there is work and given back when there is none."""
    provider = SlurmProvider(
        account=ACCOUNT,
        partition=PARTITION,
        walltime=f"{HOURS:02d}:00:00",
        nodes_per_block=1,
        cores_per_node=CORES,
        init_blocks=1,
        min_blocks=0,
        max_blocks=JOBS,
        exclusive=True,
        launcher=SrunLauncher(),
        worker_init=WORKER_INIT,
    )
    executor = HighThroughputExecutor(
        provider=provider, cores_per_worker=CORES_A_SOLVE, drain_period=round(3600 * (HOURS - LONGEST_SOLVE))
    )
    return Config(executors=[executor], run_dir=str(run_directory))


if __name__ == "__main__":
    study = Study.load(sys.argv[1])
    label_with(study, slurm(study.configuration.output.directory / "parsl"))
