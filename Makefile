# make demo: localize the sample photos.  make test: the tests.  Both set up .venv by themselves.
PYTHON ?= python3
PY := .venv/bin/python

.PHONY: demo test test-slow clean

demo: .venv/installed
	$(PY) localize.py --out out

test: .venv/installed
	$(PY) -m pytest -q -m "not slow" tests

test-slow: .venv/installed
	$(PY) -m pytest -q -m slow tests

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

clean:
	rm -rf .venv out
