# Two commands: `make demo` shows what this is for, `make test` shows that it holds.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Threads of torch that wait for work leave the cores to the other process; otherwise both spin.
TWO_AT_A_TIME = OMP_WAIT_POLICY=passive

.PHONY: demo test audit install clean

demo: $(VENV)/installed
	$(BIN)/python workflows/demo.py

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(TWO_AT_A_TIME) $(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist worksteal --durations 8
	$(TWO_AT_A_TIME) $(BIN)/python -m pytest -m "slow and not alone" --numprocesses 2 --dist worksteal --durations 8
	$(BIN)/python -m pytest -m alone --durations 8

# Informs of known vulnerabilities in what is installed, if there is a network; never fails.
audit: $(VENV)/installed
	-$(BIN)/python workflows/audit.py

# Reinstall when compiled sources, requirements or the version change. Python edits need none, nor do new modules:
# the editable install looks into the packages' folders.
$(VENV)/installed: pyproject.toml constraints.txt CMakeLists.txt cuda/splat2d/version.py $(wildcard cuda/splat2d/src/*/* dgp_mining/native/src/* sr_model/native/src/*)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[test]"
	touch $@

install: $(VENV)/installed

clean:
	rm -rf build dist demo .pytest_cache .ruff_cache
