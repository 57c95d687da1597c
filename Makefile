# Evalpool. Two commands matter: `make up` and `make test`. Everything they write goes into STATE.
# A Python >= 3.11 with venv is all they need; another one: `make up PYTHON=/path/to/python3`.

# Make's functions take a path with blanks for several: they are spelled otherwise meanwhile.
EMPTY :=
BLANK := $(EMPTY) $(EMPTY)
STATE := $(subst |blank|,$(BLANK),$(abspath $(subst $(BLANK),|blank|,$(or $(EVAL_STATE_DIR),.evalpool))))
BIN := $(STATE)/venv/bin
PYTHON := $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
BOOTSTRAP := "$(PYTHON)" -m evalctl.bootstrap "$(STATE)"
NO_PYTHON := evalpool: Python 3.11 or newer is needed, and $(if $(PYTHON),$(PYTHON) is none,none is on PATH); install it \
	(apt install python3 python3-venv)
PYTEST_ARGS ?=
# Two files at a time; JOBS=0 runs them in one process, in order.
JOBS ?= 2

export EVAL_STATE_DIR := $(STATE)
# Bytecode, like everything else that is not source, stays in the state folder.
export PYTHONPYCACHEPREFIX := $(STATE)/pycache
# Without it every process that starts compiles all that it imports: a second instead of 0.4.
unexport PYTHONDONTWRITEBYTECODE
export HYPOTHESIS_STORAGE_DIRECTORY := $(STATE)/cache/hypothesis

.PHONY: up setup setup-dev test test-escape fuzz chaos soak lint type bench autoscale-demo doctor clean python

up: python ## Install what is missing, start Redis, a worker and the API, check, and stay until Ctrl-C
	@exec $(BOOTSTRAP) --die-with-parent $$PPID
	@exec "$(BIN)/evalctl" up --die-with-parent $$PPID

setup: python ## Install the service and the default environment
	@exec $(BOOTSTRAP) --environment --die-with-parent $$PPID

setup-dev: python
	@exec $(BOOTSTRAP) --dev --environment --die-with-parent $$PPID

test: setup-dev ## The whole suite, against real Valkey and real nsjail
	@root=$$(mktemp -d) && trap 'rm -rf "$$root"' EXIT && \
		PYTEST_DEBUG_TEMPROOT="$$root" "$(BIN)/python" -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

chaos: setup-dev ## Random kills under load; EVAL_CHAOS_S seconds, EVAL_CHAOS_SEED repeats a storm; a batch of EVAL_CHAOS_ITEMS
	@EVAL_CHAOS_S="$${EVAL_CHAOS_S:-180}" EVAL_CHAOS_SEED="$${EVAL_CHAOS_SEED:-$$(date +%s)}" \
		"$(BIN)/python" -m pytest tests/chaos/test_chaos.py
	@EVAL_CHAOS_ITEMS="$${EVAL_CHAOS_ITEMS:-5000}" "$(BIN)/python" -m pytest tests/acceptance/test_batch_faults.py

soak: setup-dev ## Steady load of every kind for EVAL_SOAK_S seconds; nothing may grow
	@EVAL_SOAK_S="$${EVAL_SOAK_S:-300}" "$(BIN)/python" -m pytest tests/chaos/test_soak.py

fuzz: setup-dev ## Search longer for input that breaks something: EVAL_FUZZ_EXAMPLES=2000
	@EVAL_FUZZ_EXAMPLES=$${EVAL_FUZZ_EXAMPLES:-2000} "$(BIN)/python" -m pytest -o timeout=7200 tests/fuzz $(PYTEST_ARGS)

test-escape: setup-dev ## Every hostile program in every kind of environment, images too
	@root=$$(mktemp -d) && trap 'rm -rf "$$root"' EXIT && ESCAPE_EVERYWHERE=1 \
		PYTEST_DEBUG_TEMPROOT="$$root" "$(BIN)/python" -m pytest tests/escape $(PYTEST_ARGS)

lint: setup-dev ## Style and the arrows between rooms
	@"$(BIN)/ruff" check .
	@"$(BIN)/lint-imports" --cache-dir "$(STATE)/cache/import-linter"

type: setup-dev ## mypy, strict
	@"$(BIN)/mypy"

bench: setup-dev ## Print a table and write benchmarks/results/*.json
	@exec "$(BIN)/evalctl" bench

autoscale-demo: setup-dev ## Load comes and goes, workers follow: a table, and a plot in the state folder (4 minutes)
	@exec "$(BIN)/python" -m benchmarks.autoscale

# It changes nothing that is there: only where it could not run itself is anything installed.
doctor: python ## Which walls stand on this machine, and the command that mends each
	@"$(BIN)/python" -c 'import redis, rich, typer' 2>/dev/null || exec $(BOOTSTRAP) --die-with-parent $$PPID
	@exec "$(BIN)/evalctl" doctor

clean: python ## Remove what this project put into the state folder; environments.toml is the operator's and stays
	@exec $(BOOTSTRAP) --clean

python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "$(NO_PYTHON)" >&2; exit 1; }
