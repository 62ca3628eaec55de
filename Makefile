# make run     install what the app needs into .venv and serve it on http://127.0.0.1:8501
# make test    install what the tests need and run all of them
# Needs Python 3.11 or newer, with venv, and make. PYTHON=… and PORT=… choose others.

.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PORT ?= 8501
WORKERS ?= 2
VENV ?= .venv
BIN := $(VENV)/bin
ORACLES ?= .venv-oracles
pip_install = $(1)/bin/python -m pip --disable-pip-version-check install --quiet \
	--no-warn-script-location
PIP_INSTALL := $(call pip_install,$(VENV))
UV_VERSION := 0.13.9
COMPILE := --universal --python-version 3.11 --fork-strategy fewest --no-emit-index-url \
	--custom-compile-command 'make requirements'

.PHONY: help run test lint types unit spec-lint browser test-oracles chromium bench \
	requirements clean distclean

help:
	@sed -n 's/^# //p;/^$$/q' Makefile
	@echo 'Others:      lint types unit spec-lint browser test-oracles bench requirements clean distclean'

run: $(VENV)/.app
	@echo 'Planner: http://127.0.0.1:$(PORT) (Ctrl-C stops it)'
	@exec $(BIN)/python -m streamlit run app.py --server.address 127.0.0.1 --server.port $(PORT)

test: lint types unit spec-lint browser

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy --strict planner

# Unit tests, doctests and the tests of the app without a browser.
unit: $(VENV)/.dev
	$(BIN)/pytest -n $(WORKERS) -m 'not browser and not oracle and not gpu'

spec-lint: $(VENV)/.dev
	$(BIN)/planner lint

browser: $(VENV)/.dev chromium
	$(BIN)/pytest tests/browser -m browser

# Independent implementations, PyTorch and transformers, in an environment of their own. What takes
# times, kernels where a GPU is and the whole validation loop, has the machine to itself.
test-oracles: $(ORACLES)/.oracle
	$(ORACLES)/bin/pytest tests -n $(WORKERS) -m 'oracle and not slow'
	$(ORACLES)/bin/pytest tests/validation -m 'gpu or (oracle and slow)'

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

# --- environments: a stamp file says that what it depends on is installed ---

%/.created:
	@python='$(PYTHON)'; \
	if [ -z "$$python" ]; then \
		for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do \
			if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
			then python=$$candidate; break; fi; \
		done; \
	fi; \
	if [ -z "$$python" ]; then \
		echo 'Python 3.11 or newer was not found. Install it, or name it: make PYTHON=/path/to/python3.12' >&2; \
		exit 1; \
	fi; \
	if ! "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "$$python is older than Python 3.11: $$("$$python" --version 2>&1)" >&2; exit 1; \
	fi; \
	if ! "$$python" -m venv '$*'; then \
		echo "$$python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; \
	fi
	@touch $@

$(VENV)/.app: $(VENV)/.created requirements.txt pyproject.toml
	$(PIP_INSTALL) -r requirements.txt
	$(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.created requirements-dev.txt pyproject.toml
	$(PIP_INSTALL) -r requirements-dev.txt
	$(PIP_INSTALL) --no-deps --editable .
	@touch $@

$(ORACLES)/.oracle: $(ORACLES)/.created requirements-dev.txt requirements-validation.txt \
		pyproject.toml
	$(call pip_install,$(ORACLES)) -r requirements-dev.txt -r requirements-validation.txt \
		--editable '.[oracle]'
	@touch $@

# Debian's Chromium for the browser tests; without it they report themselves as skipped.
chromium:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		if command -v $$name >/dev/null; then exit 0; fi; \
	done; \
	if [ -n "$${CHROMIUM:-}" ]; then exit 0; fi; \
	as_root=; may=no; \
	if [ "$$(id -u)" = 0 ]; then may=yes; \
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then may=yes; as_root='sudo -n'; fi; \
	if [ $$may = yes ] && command -v apt-get >/dev/null && grep -qs '^ID=debian' /etc/os-release; then \
		echo 'Installing chromium for the browser tests …'; \
		export DEBIAN_FRONTEND=noninteractive; \
		if $$as_root apt-get update -qq && \
			$$as_root apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
		then exit 0; fi; \
	fi; \
	echo 'No Chromium: the browser tests will be skipped. To run them, install it'; \
	echo '(Debian: apt-get install chromium) or set CHROMIUM to the path of Chromium or Chrome.'

requirements: $(VENV)/.created
	$(PIP_INSTALL) uv==$(UV_VERSION)
	$(BIN)/uv pip compile --quiet pyproject.toml --extra ui --extra report \
		$(COMPILE) -o requirements.txt
	$(BIN)/uv pip compile --quiet pyproject.toml --extra ui --extra report --extra dev \
		-c requirements.txt $(COMPILE) -o requirements-dev.txt

clean:
	rm -rf build dist test-artifacts .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(ORACLES)
