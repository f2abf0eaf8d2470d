.PHONY: help train test check bench notebooks book

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

book:           ## the course, how-to pages and every public name as a site, in build/book/html (pip install -e ".[book]" first)
	python -m book.build build/book
