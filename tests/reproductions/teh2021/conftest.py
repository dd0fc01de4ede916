"""One solved bench for all tests that only read it, and results that several of them look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cellfields.evaluation import baselines
from cellfields.reproductions.teh2021 import accuracy
from cellfields.reproductions.teh2021.workbench import Workbench
from tests.reproductions.teh2021.toy_plan import toy_plan


@pytest.fixture(scope="session")
def few_baselines() -> Iterator[None]:
    """Kernels and processes take seconds; what they are is tested elsewhere (test_baselines.py)."""
    with pytest.MonkeyPatch.context() as patch:
        for name in set(baselines.BASELINES) - {"mean", "linear", "quadratic"}:
            patch.delitem(baselines.BASELINES, name)  # type: ignore[arg-type]
        yield


@pytest.fixture(scope="session")
def toy_bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """All labels of the toy plan's dataset; nothing else may be solved."""
    plan, directory = toy_plan(), tmp_path_factory.mktemp("bench")
    Workbench(plan, directory).labels("dataset", plan.engine, [*plan.train, *plan.test])
    return Workbench(plan, directory, solve=False)


@pytest.fixture(scope="session")
def toy_accuracy(toy_bench: Workbench, few_baselines: None) -> accuracy.Accuracy:
    return accuracy.study(toy_bench)
