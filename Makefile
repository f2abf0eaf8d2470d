.PHONY: help train test check bench notebooks docs

ARCH ?= densenet

help:           ## this list
	@grep -E '^[a-z]+: +##' $(MAKEFILE_LIST) | sed 's/: *##/\t/' | expand -t 12

train:          ## train on the embedded data: make train ARCH=resnet
	python -m minigrad.train --arch $(ARCH)

test:           ## all tests
	python -m pytest

check:          ## what continuous integration runs
	bash .ci/run

bench:          ## whole nets beside PyTorch (pip install torch first)
	python benchmarks/bench_train.py --peer torch

notebooks:      ## execute the notebooks and keep their outputs (pip install -e ".[notebooks]" first)
	python notebooks/run.py

docs:           ## API pages of every public name, in build/docs (pip install -e ".[dev]" first)
	python .ci/docs.py build/docs
