# `make run` sets everything up and makes the expression set; `make test` sets everything up and tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
# Set-up compiles nothing ahead, and tests start hundreds of interpreters: what one compiles, the others read.
unexport PYTHONDONTWRITEBYTECODE
export PREFECT_SERVER_ANALYTICS_ENABLED := false
PREFECT := PREFECT_HOME=$(CURDIR)/.prefect PREFECT_LOGGING_LEVEL=WARNING PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS=120

.PHONY: run test lint style types contracts campaign bench clean

run: $(VENV)/.run
	$(PREFECT) $(BIN)/python -m flows.expression_set

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.test
	$(MAKE) --no-print-directory --jobs=2 --output-sync types style contracts

types:
	$(BIN)/mypy

style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

contracts:
	$(BIN)/lint-imports

# Long campaigns: kills, failing system calls, full disks, flipped bits, histories of decisions, LibreOffice, nights (an
# hour and a half).
campaign: $(VENV)/.test
	$(BIN)/python -m pytest -m campaign --timeout 7200 -s tests/faults tests/review tests/delivery tests/flows

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

$(VENV)/.run: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e .
	touch $@

$(VENV)/.test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[dev]"
	touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) .prefect
