# make demo          set up, pretrain on real heartbeats, show the table and the report (two to three minutes after installation)
# make test          set up, then format, lint, types, tests, doctests and the README's code
# make docs          set up, then the site: docs/_build/index.html
# make test-oldest   the tests again, with the oldest allowed dependencies, in .venv-oldest
# TORCH=cpu          with any of them, the first time: PyTorch without CUDA, several GB less; or cu126, ... (docs/install.md)
# All need python3 (3.11 or newer), pip and make only; everything goes into .venv.

PYTHON ?= python3
TORCH ?=
TORCH_INDEX ?= https://download.pytorch.org/whl
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
PIP := -m pip install --quiet --disable-pip-version-check
NEW_ENOUGH = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || { echo "bam-ssl needs Python 3.11 or newer; $$($(PYTHON) --version) is on the PATH. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
export OMP_NUM_THREADS ?= 2

.PHONY: demo test docs test-oldest format clean

demo: $(VENV)/installed-all
	$(BIN)/bam demo

test: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

docs: $(VENV)/installed-dev
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build

test-oldest: $(OLDEST)/installed
	OMP_NUM_THREADS=1 $(OLDEST)/bin/pytest -n auto --dist worksteal

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(OLDEST) .pytest_cache .ruff_cache .mypy_cache .hypothesis dist

$(VENV)/installed-%: pyproject.toml
	@$(NEW_ENOUGH)
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH),$(BIN)/python $(PIP) --index-url $(TORCH_INDEX)/$(TORCH) torch torchvision torchaudio)
	$(BIN)/python $(PIP) -e '.[$*]'
	@touch $@

# huggingface_hub<1: uv would rather take a newer hub and a newer datasets than the oldest of both.
$(OLDEST)/installed: pyproject.toml
	@$(NEW_ENOUGH)
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(PIP) uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct \
	  $(if $(TORCH),--torch-backend $(TORCH)) -e '.[dev]' 'huggingface_hub<1'
	@touch $@
