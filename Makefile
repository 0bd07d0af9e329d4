# SPDX-License-Identifier: BSD-3-Clause
# `make demo` and `make test` do all set-up themselves.
# PYTHON=... chooses another interpreter than python3, from 3.10 to 3.13.

PYTHON ?= python3
# Another interpreter gets an environment of its own.
VENV := .venv$(addprefix -,$(filter-out python3,$(notdir $(PYTHON))))
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check docs lava-tests bench lint audit torture suite setup clean

demo: $(STAMP)
	$(BIN)/loihi-unet demo

# Two at a time, each on one core: more would only wait for each other on two cores.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# What `make test` leaves out: browsers, tortures, all of the suite, memory.
check: test
	$(BIN)/python -m pytest -m slow

# The documentation as pages, in site/; links that lead nowhere are errors. Nothing is
# fetched but, the first time, the tools.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --clean

# The unit tests in Lava's own wheels, unchanged; some ten minutes.
lava-tests: $(STAMP)
	$(BIN)/python .ci/lava_tests.py

# Minutes; the machine should have nothing else to do.
bench: $(STAMP)
	$(BIN)/python benchmarks/bench_lava.py --out benchmarks/results_lava.json
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/render.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Both tools in an environment of their own. pip-audit asks PyPI for advisories.
audit: $(STAMP)
	$(BIN)/python -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet bandit pip-audit
	.venv-audit/bin/bandit --quiet --configfile pyproject.toml -r loihi_unet export sim
	.venv-audit/bin/pip-audit --skip-editable --path \
	  $$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")

# Hours on a slow machine; writes docs/reliability.{json,md}.
torture: $(STAMP)
	$(BIN)/python -m benchmarks.torture

# Twenty networks of other people's kinds; writes docs/suite.{json,md}.
suite: $(STAMP)
	$(BIN)/python -m benchmarks.suite

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt .ci/set_up.py
	@command -v "$(PYTHON)" >/dev/null || \
	  { echo "PYTHON=$(PYTHON): there is no such program" >&2; exit 1; }
	@"$(PYTHON)" .ci/set_up.py $(VENV)
	@touch $(STAMP)

$(VENV)/.docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt -e '.[docs]'
	@touch $@

clean:
	rm -rf .venv .venv-* runs build site .cache *.egg-info .pytest_cache .mypy_cache .ruff_cache
