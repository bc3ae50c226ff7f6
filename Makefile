# Each target makes the .venv it needs by itself; PYTHON chooses the interpreter (3.10 to 3.13).
PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
STAMP := .venv/.installed
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pyg-neuralops

.PHONY: compare test check accel clean

# LA2Former against three GNNs on irregular Darcy: data, training, table and pictures in runs/compare.
compare: $(STAMP)
	$(BIN)/pyg-neuralops compare --recipe benchmarks/studies/first.toml --jobs 2

# One thread a worker: nested parallelism is slower. Threads that wait for each other must not spin on a busy machine.
test: $(STAMP)
	OMP_NUM_THREADS=1 GOMP_SPINCOUNT=1000 $(BIN)/pytest -n $(WORKERS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

# Optional: torch-cluster and torch-scatter, compiled once (about 5 minutes each, side by side) and kept as wheels.
accel: $(STAMP)
	PYTHON=$(abspath $(BIN)/python) CACHE="$(CACHE)" bash .ci/accel

clean:
	rm -rf .venv runs build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	touch $@
