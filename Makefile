# make demo: localize the sample photos.  make test: the tests.  Both set up .venv by themselves.
PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow clean

demo: .venv/installed
	$(PY) localize.py --out out

# Two workers, each with the files of its own; of slow ones in the order of tests/conftest.py.
test: .venv/installed-for-tests
	$(PY) -m pytest -q -m "not slow" -n 2 --dist loadfile tests

test-slow: .venv/installed-for-tests
	$(PY) -m pytest -q -m slow -n 2 --dist loadfile --no-loadscope-reorder tests

.venv/installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Python 3.11 to 3.13 is needed, for which there is TensorFlow 2.21: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(PIP) -r requirements.txt
	touch $@

.venv/installed-for-tests: .venv/installed requirements-test.txt
	$(PIP) -r requirements-test.txt
	touch $@

clean:
	rm -rf .venv out
