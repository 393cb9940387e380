"""Whether each pure module is covered whole by its own tests: `python -m tests.own_coverage`.

Lines and branches of `core/`, `wire/` and `model/` count only when the module's own twin runs them:
what another module's tests happen to pass through has been run, not tested.
"""

import importlib
import io
import sys
from pathlib import Path
from typing import Final

import pytest
from coverage import Coverage

ROOT: Final = Path(__file__).parent.parent
PURE: Final = ("*/core", "wire", "model")


class Contexts:
    """Tells coverage which test module runs."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage

    @pytest.hookimpl
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Before each test."""
        self._coverage.switch_context(item.path.relative_to(ROOT).as_posix())


def main() -> int:
    """Run the twins, name what they leave out; 0 when that is nothing."""
    coverage = Coverage(data_file=None, config_file=str(ROOT / "pyproject.toml"))
    folders = [str(path) for part in PURE for path in (ROOT / "tests/unit").glob(part)]
    modules = sorted(path for part in PURE for path in (ROOT / "qvdnode").glob(f"{part}/*.py"))
    coverage.start()
    for module in modules:  # what only declares needs no test
        importlib.import_module(".".join(module.relative_to(ROOT).with_suffix("").parts))
    failed = pytest.main(["-q", "-p", "no:cacheprovider", *folders], plugins=[Contexts(coverage)])
    coverage.stop()
    left_out = [line for module in modules if (line := missed(coverage, module))]
    print("\n".join(left_out) or f"{len(modules)} pure modules are covered by their own tests")
    return 1 if failed or left_out else 0


def missed(coverage: Coverage, module: Path) -> str:
    """What the module's own twin does not run; empty when it runs everything."""
    twin = f"tests/unit/{module.relative_to(ROOT / 'qvdnode').with_name(f'test_{module.name}')}"
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
