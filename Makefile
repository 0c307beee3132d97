# Hornbook needs Python >= 3.11, git and make; everything else is installed into .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
PIP     = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test slow families tokenizers check docs site clean

demo: $(VENV)/installed          ## the whole path on this Python's own library: about five minutes
	$(BIN)/hornbook run demo

test: $(VENV)/installed-test     ## the default tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

slow: $(VENV)/installed-test     ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

families: $(VENV)/installed-test ## the table of families: what holds each of them, and what passed
	$(BIN)/python tests/family_table.py

tokenizers: $(VENV)/installed-test ## the table of tokenizers: what holds each kind, and how many texts were compared
	$(BIN)/python tests/tokenizer_table.py

check: $(VENV)/installed-check   ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-check    ## write the pages that are made from --help and from the tables
	$(BIN)/python docs/generate.py

site: $(VENV)/installed-docs     ## build the documentation site; any warning fails
	$(BIN)/zensical build --clean --strict

clean:                           ## remove the virtual environment, caches and site (runs stay)
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Hornbook needs Python 3.11 or newer; name one with: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) --group test
	@touch $@

$(VENV)/installed-check: $(VENV)/installed-test
	$(PIP) --group lint
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(PIP) --group docs
	@touch $@
