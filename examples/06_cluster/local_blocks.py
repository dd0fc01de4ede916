"""Label a study through Parsl on this machine: several blocks of workers, as a cluster would give them.

    python local_blocks.py ../01_magnesium_quick/magnesium.toml --blocks 2 --workers 1

What it shows: any executor can do the work, a killed worker or block costs nothing that was finished, and the same
command resumes. Needs `pip install '.[cluster]'`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from parsl import Config
from parsl.concurrent import ParslPoolExecutor
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

from cellfields.dataset import LabelEvent, LabelInterrupted, label
from cellfields.pipeline.study import Study


def label_with(study: Study, config: Config) -> None:
    """Solve what the study's dataset lacks, with the workers that Parsl gets."""
    # Parsl's processes are born deaf to Ctrl-C, which reaches them all: this one decides, and ends them in order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    pool = ParslPoolExecutor(config)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        store = study.create_store()
        summary = label(store, study.engine, study.strains, executor=pool, retry_failed=False, on_event=report)
    except LabelInterrupted as interruption:
        sys.exit(str(interruption))
    finally:
        pool.shutdown(wait=False)  # nothing that is still queued is waited for
    print(f"{summary.solved} solved, {summary.skipped} skipped, {summary.failed} failed in {summary.seconds:.0f} s")
    for failure in (*summary.failures, *summary.quarantined):
        print(f"not solved: D = {failure.deformation.as_array().tolist()}: {failure.reason}")


def report(event: LabelEvent) -> None:
    """One line for each strain that was solved or failed."""
    if event.kind != "skipped":
        print(f"{event.done}/{event.total} {event.kind} in {event.seconds:.1f} s", flush=True)


def local_blocks(blocks: int, workers: int, run_directory: Path) -> Config:
    """``blocks`` groups of ``workers`` processes here; a group that dies is replaced."""
    provider = LocalProvider(init_blocks=blocks, min_blocks=blocks, max_blocks=blocks)
    executor = HighThroughputExecutor(
        provider=provider,
        max_workers_per_node=workers,
        cores_per_worker=1e-6,  # as many workers as asked for, however few cores there are
        address="127.0.0.1",
        heartbeat_period=5,  # seconds until the death of a worker is noticed …
        heartbeat_threshold=20,  # … and that of a block
    )
    return Config(executors=[executor], run_dir=str(run_directory))


def main() -> None:
    """Read the command line and label."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="in each block")
    arguments = parser.parse_args()
    # Parsl starts its own programs by name; they lie beside this Python, whether or not its environment is activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["OMP_NUM_THREADS"] = "1"
    study = Study.load(arguments.study)
    config = local_blocks(arguments.blocks, arguments.workers, study.configuration.output.directory / "parsl")
    label_with(study, config)


if __name__ == "__main__":
    main()
