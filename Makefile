# Everything a newcomer runs. `make demo` shows a desktop; `make check` and `make test` judge a change.
PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=
DEMO_STATE ?= /var/lib/qvdnode-demo
TEST_STATE ?= /var/lib/qvdnode-test
BENCHES := adoption broker browser drivers farm gossip images image_pull memory plan relay rolling_upgrade startup storm tls
CHECKS := $(addprefix check-,unit types imports format lint unused packages spelling)
UNIT := tests/unit $(wildcard tests/test_*.py)

.PHONY: help setup packages lock demo purge check format test unit integration e2e soak patroni stock machines bench desktops docs fuzz vendor page-types
help:
	@echo "make demo         a desktop on this machine, end to end (ARGS=\"--once --json\" passes options on;"
	@echo "                  ARGS=\"--nodes 3\": a farm that loses a node)"
	@echo "make check        formatter, linters, types, architecture rules, unit tests"
	@echo "make test         every test: unit, contract, integration, end to end"
	@echo "make unit         unit tests and architecture rules alone"
	@echo "make integration  against this kernel, LXC, PostgreSQL and nftables; contract tests and attacks too"
	@echo "make e2e          whole programs, from a client's window down"
	@echo "make bench        all benchmarks (make bench-NAME for one); results in bench/results"
	@echo "make desktops     build and measure every desktop, and draw docs/desktops.md (ARGS=\"xfce --suite trixie\")"
	@echo "make fuzz         fuzz the decoders of outside bytes for a minute, from where the last run ended"
	@echo "make soak         the same for five minutes, every property test with 1,000 examples, 1,500 clients that vanish, 300 hostile streams, simulated farms, real ones under faults"
	@echo "make patroni      the farm on three database hosts with Patroni and etcd, the primary's dies (docs/patroni)"
	@echo "make stock        tests of the host's side in a virtual machine with Debian's own kernel (ARGS=tests/...)"
	@echo "make machines     all tests over machines of QEMU, and no others; without KVM that takes minutes"
	@echo "make docs         write the generated pages again"
	@echo "make vendor       fetch the web page's libraries again, as vendor.lock says (needs npm; for developers)"
	@echo "make page-types   check the types of the web page with TypeScript (needs npm; for developers)"
	@echo "make format       put the code into shape"
	@echo "make lock         choose the pinned Python packages anew"
	@echo "make setup        what the others need: Debian packages and .venv (make packages: those alone)"
	@echo "make purge        remove the demo's and the tests' state folders and .venv"

setup: packages $(READY)

packages:
	@packaging/install-packages.sh debian-packages.txt

$(READY): requirements-dev.txt pyproject.toml | packages
	@echo "setup: virtual environment in $(VENV)" >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) # or half made
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

lock:
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet pip-tools
	$(VENV)-lock/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --strip-extras --no-header -o requirements.txt pyproject.toml
	$(VENV)-lock/bin/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	  --strip-extras --no-header --allow-unsafe --extra dev -o requirements-dev.txt pyproject.toml
	@rm -rf $(VENV)-lock

demo: setup
	@$(BIN)/qvdnode demo $(ARGS)

purge:
	@if test -x $(BIN)/qvdnode; then \
	  $(BIN)/qvdnode purge --yes --state-dir $(DEMO_STATE) --state-dir $(TEST_STATE); \
	else \
	  for folder in $(DEMO_STATE) $(TEST_STATE); do \
	    test ! -e $$folder || { echo "purge: without .venv $$folder stays; run: make setup purge" >&2; exit 1; }; \
	  done; \
	fi
	rm -rf $(VENV)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: $(CHECKS)
# Side by side, the slowest first, each with its output in one piece.
check: $(READY)
	@$(MAKE) --no-print-directory --jobs=$(shell nproc) --output-sync=target --keep-going $(CHECKS)

check-unit:
	$(BIN)/python -m tests.own_coverage $(UNIT)
check-types:
	$(BIN)/mypy
check-imports:
	$(BIN)/lint-imports
check-format:
	$(BIN)/ruff format --check .
check-lint:
	$(BIN)/ruff check .
check-unused:
	$(BIN)/vulture
check-packages:
	$(BIN)/deptry .
check-spelling:
	$(BIN)/codespell

unit: $(READY)
	$(BIN)/python -m pytest $(UNIT)

integration: setup
	$(BIN)/python -m pytest tests/contract tests/integration tests/attacks

e2e: setup
	$(BIN)/python -m pytest tests/e2e

test: setup
	$(BIN)/python -m tests.side_by_side --hypothesis-profile=whole $(ARGS)

docs: $(READY)
	$(BIN)/python -m docs.generate

page-types:
	cd tests/web && npm ci --silent --no-audit --no-fund --ignore-scripts && node_modules/.bin/tsc -p .

vendor: $(READY)
	$(BIN)/python packaging/vendor_web.py

fuzz: $(READY)
	$(BIN)/python -m fuzz.run

soak: setup
	$(BIN)/python -m fuzz.run --seconds 300
	$(BIN)/python -m pytest tests/unit tests/integration/admin/test_schema_conformance.py --hypothesis-profile=soak --timeout=900
	$(BIN)/python -m tests.vanishing_clients
	$(BIN)/python -m tests.hostile_streams
	$(BIN)/python -m tests.swim_simulation
	$(BIN)/python -m tests.farm_faults

patroni: setup
	$(BIN)/python -m bench.patroni $(ARGS)

stock: setup
	$(BIN)/python -m tests.stock_debian $(ARGS)

machines: setup
	$(BIN)/python -m pytest -m kvm tests/contract tests/integration tests/e2e $(ARGS)

bench: $(addprefix bench-,$(BENCHES))

bench-%: setup
	$(BIN)/python -m bench.$* $(ARGS)

desktops: setup
	$(BIN)/python -m bench.desktops $(ARGS)
	$(BIN)/python -m bench.programs
