# SPDX-License-Identifier: BSD-3-Clause
# `make demo` and `make test` do all set-up themselves.
# PYTHON=... chooses an interpreter; Lava needs 3.10, which is found by default.

PYTHON ?=
# Another interpreter gets an environment of its own.
VENV := .venv$(if $(PYTHON),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test bench lint audit torture setup clean

demo: $(STAMP)
	$(BIN)/loihi-unet demo

test: $(STAMP)
	@$(BIN)/python .ci/say_lava.py
	$(BIN)/python -m pytest

# Minutes; the machine should have nothing else to do. Needs Lava for half of it.
bench: $(STAMP)
	@$(BIN)/python .ci/say_lava.py
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

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@python=$$(PYTHON="$(PYTHON)" .ci/find_python.sh) && \
	echo "setting up $(VENV) with $$python (several GB; minutes)" && \
	"$$python" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	@touch $(STAMP)

clean:
	rm -rf .venv .venv-* runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache
