"""Runs tests, and says whether they cover each pure module whole: `python -m tests.own_coverage`.

Lines and branches of `core/`, `wire/` and `model/` count only when the module's own twin runs them:
what another module's tests happen to pass through has been run, not tested.
"""

import importlib
import io
import sys
from typing import TYPE_CHECKING, Final

import pytest
from coverage import Coverage

from tests.sources import CODE, MODULES, ROOT, is_pure, module_of

if TYPE_CHECKING:
    from pathlib import Path

PURE: Final = [path for path in MODULES if is_pure(path.relative_to(CODE))]


class Contexts:
    """Tells coverage which test module runs."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage

    @pytest.hookimpl
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Before each test."""
        self._coverage.switch_context(item.path.relative_to(ROOT).as_posix())


def main() -> int:
    """Run what the command line names, or all unit tests; 0 when nothing fails or is left out."""
    coverage = Coverage(data_file=None, config_file=str(ROOT / "pyproject.toml"))
    coverage.start()
    for path in PURE:  # what only declares needs no test
        importlib.import_module(module_of(path))
    failed = pytest.main(sys.argv[1:] or ["tests/unit"], plugins=[Contexts(coverage)])
    coverage.stop()
    left_out = [line for path in PURE if (line := missed(coverage, path))]
    print("\n".join(left_out) or f"{len(PURE)} pure modules are covered by their own tests")
    return 1 if failed or left_out else 0


def missed(coverage: Coverage, module: "Path") -> str:
    """What the module's own twin does not run; empty when it runs everything."""
    twin = f"tests/unit/{module.relative_to(CODE).with_name(f'test_{module.name}')}"
    report = io.StringIO()
    total = coverage.report(
        include=[str(module)], contexts=["^$", f"^{twin}$"], show_missing=True, file=report
    )
    if total == 100.0:
        return ""
    *_, row = [line for line in report.getvalue().splitlines() if "qvdnode/" in line]
    return f"{twin} does not cover {row}"


if __name__ == "__main__":
    sys.exit(main())
