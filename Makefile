# `make help` lists the targets. Each makes what it needs, .venv included.

VENV ?= .venv
PORT ?= 8765
SECONDS ?= 20

# The first of these that is Python 3.11 or newer makes the environment.
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11 python3
TESTED_PYTHONS := 3.11 3.12 3.13

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install $(if $(CI),--quiet)
JOBS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
NATIVE := $(wildcard src/wscodec/*.pyx src/wscodec/*.pxd src/wscodec/_kernels/*.[ch])
KERNELS := src/wscodec/_kernels
C_FILES = $(wildcard $(KERNELS)/*.[ch] tests/kernels/*.[ch] tests/kernels/bochs/*.[ch] bench/kernels/*.c $(if $(filter Linux,$(shell uname -s)),bench/echo/load.c))

# Stamps: the environment with what running and building needs, with what developing needs, with what the
# documentation needs; and the compiled modules.
BASE := $(VENV)/.base
DEV := $(VENV)/.dev
DOCS := $(VENV)/.docs
COMPILED := $(VENV)/.compiled

# What the tests run on: compiled modules wherever there is a C compiler, and then a broken build is an error.
has_compiler = $(PY) -c "import os, shlex, shutil, sys, sysconfig; \
	sys.exit(not shutil.which(shlex.split(os.environ.get('CC') or sysconfig.get_config_var('CC') or 'cc')[0]))"
has_modules = $(PY) -c "import wscodec._frames, wscodec._mask, wscodec._payload, wscodec._utf8" 2>/dev/null

export PATH := $(abspath $(VENV))/bin:$(PATH)

.DELETE_ON_ERROR:
.PHONY: help demo test test-all test-kernels test-cross conformance conformance-quick lint format bench bench-echo bench-kernels soak chaos fuzz fuzz-kernels valgrind sanitize docs dist clean

help: ## list the targets
	@echo "Targets:"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

demo: $(COMPILED) ## serve the demo page on http://127.0.0.1:8765/ (PORT=n for another port)
	@exec $(PY) -m wscodec serve --demo --port $(PORT)

# What the second run leaves out, beside uvloop and the tests that have run on both backends in the first: it hardly
# sees which one is in use, or compares the two.
BEYOND_THE_CODEC := $(patsubst %,tests/test_%.py,conformance deflate extensions headers layers uri) \
	tests/asyncio/test_interop_deflate.py tests/browser tests/dropin tests/faults tests/fuzz

# The `ws` package is one of the peers that the network tests talk to, where there is npm.
NODE := build/node/.stamp
export WSCODEC_NODE_MODULES := $(abspath build/node/node_modules)
$(NODE):
	@mkdir -p $(@D)
	@if command -v npm >/dev/null; then \
		echo "==> the ws package for Node.js"; \
		npm install --silent --no-audit --no-fund --fetch-retries 0 --prefix $(@D) ws@8 || echo "==> not installed: its tests say so"; \
	fi
	@touch $@

# A process for each CPU, and what is left of one's share goes to those that are done (ARGS="-n0" for one alone).
PARALLEL := -n auto --dist worksteal

test: $(DEV) $(COMPILED) $(NODE) ## run the tests, compiled and pure (ARGS="..." goes to pytest)
	@if $(has_modules); then \
		$(MAKE) --no-print-directory test-kernels ARGS=--quick || exit; \
		echo "==> the tests on the compiled backend"; \
		$(PY) -m pytest $(PARALLEL) --require-compiled $(ARGS) || exit; \
		echo "==> the tests of the codec and the network on the pure backend"; \
		WSCODEC_BACKEND=pure $(PY) -m pytest $(PARALLEL) -rfE -m "not slow and not both and not uvloop" $(BEYOND_THE_CODEC:%=--ignore-glob='%') $(ARGS); \
	else \
		echo "==> there is no C compiler: the tests run on the pure backend alone"; \
		$(PY) -m pytest $(PARALLEL) $(ARGS); \
	fi

test-all: ## run the tests on every Python that we support and that is here
	@for version in $(TESTED_PYTHONS); do \
		if python$$version -c "" 2>/dev/null; then \
			echo "==> Python $$version"; \
			$(MAKE) --no-print-directory test VENV=.venv-$$version PYTHON=python$$version || exit 1; \
		else \
			echo "==> Python $$version is not here: skipped"; \
		fi; \
	done

# The kernels without Python: a program of their sources and the checks. Each build has its own name.
KERNEL_TESTS := build/kernels
KERNEL_SOURCES := $(wildcard tests/kernels/*_checks.c) tests/kernels/check.c tests/kernels/driver.c $(wildcard $(KERNELS)/*.c)
KERNEL_FILES := $(KERNEL_SOURCES) $(wildcard tests/kernels/*.[ch] $(KERNELS)/*.h)

test-kernels: $(KERNEL_TESTS)/driver ## test the C kernels alone, all that this CPU can run (ARGS="avx2 --quick")
	@$< $(ARGS)

$(KERNEL_TESTS)/driver: $(KERNEL_FILES)
	@mkdir -p $(@D)
	@echo "==> building the tests of the kernels"
	@$${CC:-cc} -O2 -std=c11 -I$(KERNELS) $(KERNEL_SOURCES) -o $@

$(KERNEL_TESTS)/driver-sanitized: $(KERNEL_FILES)
	@mkdir -p $(@D)
	@echo "==> building the tests of the kernels with sanitizers"
	@$${CC:-cc} -O1 -g -std=c11 -fsanitize=address,undefined -fno-sanitize-recover=all -I$(KERNELS) $(KERNEL_SOURCES) -o $@

$(KERNEL_TESTS)/driver-valgrind: $(KERNEL_FILES)
	@mkdir -p $(@D)
	@$${CC:-cc} -O1 -g -std=c11 -I$(KERNELS) $(KERNEL_SOURCES) -o $@

# Valgrind has no AVX-512, and says so to the CPU detection. It takes some forty times as long.
valgrind: $(KERNEL_TESTS)/driver-valgrind ## test the C kernels under valgrind, where there is one (ARGS="avx2 --quick")
	@if ! command -v valgrind >/dev/null; then echo "==> no valgrind here: skipped"; exit 0; fi; \
	valgrind --quiet --error-exitcode=3 --leak-check=full $< $(or $(ARGS),--quick)

test-cross: ## test the C kernels for other CPUs and architectures in an emulator, as far as there are compilers and qemu
	@sh tests/kernels/cross.sh $(KERNELS) $(KERNEL_TESTS)

conformance: $(BASE) $(COMPILED) ## play the Autobahn Testsuite, where there is Python 2.7 (ARGS="--cases 1-10 --role server ...")
	@$(PY) -m tests.conformance $(ARGS)

conformance-quick: $(BASE) $(COMPILED) ## play a part of it that takes two to three minutes
	@$(PY) -m tests.conformance --quick $(ARGS)

lint: $(DEV) $(COMPILED) ## check style and types of all sources, changing nothing
	@echo "==> ruff"
	@ruff check --quiet .
	@ruff format --quiet --check .
	@echo "==> cython-lint"
	@cython-lint src/wscodec
	@echo "==> clang-format"
	@clang-format --dry-run -Werror $(C_FILES)
	@if $(has_compiler); then \
		echo "==> the C compiler's warnings"; \
		$${CC:-cc} -std=c11 -Wall -Wextra -Wconversion -Werror -fsyntax-only -I$(KERNELS) -Itests/kernels \
			$(filter-out tests/kernels/bochs/%,$(filter %.c,$(C_FILES))); \
	else \
		echo "==> there is no C compiler to ask for warnings"; \
	fi
	@echo "==> mypy"
	@$(PY) -m mypy
	@echo "==> stubtest"
	@$(PY) tests/check_stubs.py

format: $(DEV) ## rewrite the sources in the style that lint demands
	@ruff check --quiet --fix .
	@ruff format .
	@clang-format -i $(C_FILES)

bench: $(DEV) $(COMPILED) ## measure, beside other libraries (ARGS="..." goes to python -m bench)
	@$(PY) -m bench $(ARGS)

bench-echo: $(DEV) $(COMPILED) ## measure whole servers over sockets, beside other libraries; Linux (ARGS="--spin ...")
	@$(PY) -m bench.echo $(ARGS)

soak: $(DEV) $(COMPILED) ## hold 10,000 connections for ten minutes: does the server grow? Linux (ARGS="--minutes 1 ...")
	@$(PY) -m bench.soak $(ARGS)

chaos: $(DEV) $(COMPILED) ## ill-treat a server for three minutes: do good peers notice, is anything left? Linux (ARGS="--tls ...")
	@$(PY) -m bench.chaos $(ARGS)

BENCHED := build/bench
bench-kernels: $(DEV) ## measure the C kernels alone, without Python, beside memcpy and (where there is Node.js) simdutf
	@mkdir -p $(BENCHED)
	@$${CC:-cc} -O3 -std=c11 -I$(KERNELS) bench/kernels/kernels.c $(KERNELS)/*.c -o $(BENCHED)/kernels
	@texts=$$($(PY) -m bench.kernels.texts $(BENCHED)) && $(BENCHED)/kernels $$texts && \
		if command -v node >/dev/null; then node bench/kernels/simdutf.js $$texts; fi

# What lets the code under test choose the input of the next case; without it, the input is random.
FUZZER := $(VENV)/.fuzzer
$(FUZZER): $(DEV)
	@echo "==> installing atheris"
	@$(PIP) --quiet --only-binary :all: "atheris>=3" || echo "==> not installed: the input is random"
	@touch $@

fuzz: $(FUZZER) $(COMPILED) ## compare twins, other libraries and ourselves on hostile input, each of 25 targets for SECONDS=20
	@$(PY) tests/fuzz/run.py --seconds $(SECONDS) $(ARGS)

# libFuzzer stops at the first difference and leaves the input in build/kernels.
fuzz-kernels: $(KERNEL_FILES) ## compare the C kernels with a slow reference on random input for SECONDS=20 each (needs clang)
	@if ! command -v clang >/dev/null; then echo "==> no clang here: skipped"; exit 0; fi; \
	mkdir -p $(KERNEL_TESTS) && \
	for what in mask utf8; do \
		echo "==> fuzzing: $$what"; \
		clang -O1 -g -std=c11 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I$(KERNELS) \
			tests/kernels/fuzz_$$what.c $(KERNELS)/*.c -o $(KERNEL_TESTS)/fuzz_$$what && \
		$(KERNEL_TESTS)/fuzz_$$what -max_total_time=$(SECONDS) -max_len=400 -artifact_prefix=$(KERNEL_TESTS)/ \
			2>$(KERNEL_TESTS)/fuzz.log || { tail -n 50 $(KERNEL_TESTS)/fuzz.log; exit 1; }; \
		tail -n 1 $(KERNEL_TESTS)/fuzz.log; \
	done

# What builds packages or reads sources has nothing to sanitize, and a browser is no place for another program's
# sanitizer. A server's memory can't be judged there, since freed blocks are kept for a while: bad peers come without.
# Nor can Python, where it can't have the memory that it asks for.
SANITIZED := build/sanitize/lib
UNSANITIZED := tests/browser $(patsubst %,tests/test_%.py,build chaos interrupted layers soak)
SANITIZING = LD_PRELOAD="$$($${CC:-gcc} -print-file-name=libasan.so)" UBSAN_OPTIONS=print_stacktrace=1 \
	PYTHONMALLOC=malloc PYTHONPATH=$(SANITIZED) WSCODEC_BACKEND=compiled
sanitize: $(DEV) $(NODE) $(KERNEL_TESTS)/driver-sanitized ## run all tests with the address and undefined-behaviour sanitizers (twenty minutes)
	@echo "==> the tests of the kernels under sanitizers"
	@$(KERNEL_TESTS)/driver-sanitized --quick
	@echo "==> building with sanitizers"
	@WSCODEC_SANITIZE=1 WSCODEC_REQUIRE=1 $(PY) setup.py --quiet build --build-base build/sanitize --build-lib $(SANITIZED)
	@echo "==> the fuzz targets under sanitizers, and what they leave behind at their end"
	@ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=tests/fuzz/lsan.txt $(SANITIZING) $(PY) tests/fuzz/run.py --random --seconds 10
	@echo "==> the tests under sanitizers"
	@ASAN_OPTIONS=detect_leaks=0 $(SANITIZING) $(PY) -m pytest $(PARALLEL) --require-compiled \
		--timeout 3600 -o faulthandler_timeout=0 $(UNSANITIZED:%=--ignore=%) $(ARGS)
	@echo "==> a server among bad peers under sanitizers"
	@ASAN_OPTIONS=detect_leaks=0 $(SANITIZING) $(PY) -m bench.chaos --connections 200 --minutes 0.5 --margin 10000

docs: $(DOCS) ## build the documentation into build/docs
	@$(VENV)/bin/mkdocs build --quiet --strict
	@echo "==> build/docs/index.html"

dist: $(DEV) ## build the sdist, a wheel for this platform and the pure wheel into dist, and check what is in them
	@rm -rf dist
	@echo "==> the sdist"
	@$(PY) -m build --no-isolation --sdist --outdir dist . >build/dist.log 2>&1 || { cat build/dist.log; exit 1; }
	@echo "==> the wheels, built from the sdist"
	@WSCODEC_REQUIRE=1 $(PY) -m pip --quiet wheel --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	@WSCODEC_PURE=1 $(PY) -m pip --quiet wheel --no-deps --no-build-isolation --wheel-dir dist dist/*.tar.gz
	@$(PY) tests/check_dist.py dist/*

clean: ## remove all that was built, but for .venv
	rm -rf build dist site src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	rm -f src/wscodec/*.so $(COMPILED)
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +

$(PY):
	@for python in $(PYTHONS); do \
		if $$python -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then \
			echo "==> making $(VENV) with $$($$python --version)"; \
			exec $$python -m venv $(VENV); \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed; name one with PYTHON=..." >&2; exit 1

# `pip install` builds nothing here: that is the work of the rule for $(COMPILED), which runs again and again.
$(BASE): pyproject.toml | $(PY)
	@echo "==> installing what wscodec runs and builds with"
	@$(PY) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')" \
		>$(VENV)/build-requires.txt
	@$(PIP) -r $(VENV)/build-requires.txt
	@WSCODEC_PURE=1 $(PIP) --no-build-isolation --editable .
	@touch $@

$(DEV): $(BASE)
	@echo "==> installing what the tests and the checks need (a minute or so)"
	@WSCODEC_PURE=1 $(PIP) --no-build-isolation --editable ".[dev]"
	@touch $@

$(DOCS): $(BASE)
	@echo "==> installing what the documentation needs"
	@WSCODEC_PURE=1 $(PIP) --no-build-isolation --editable ".[docs]"
	@touch $@

# Without a compiler there is no stamp, so that the next target tries again.
$(COMPILED): $(BASE) setup.py $(NATIVE)
	@echo "==> building the compiled modules (ten seconds or so)"
	@if $(has_compiler); then required=$(REQUIRE_COMPILED); else required=0; fi; \
		WSCODEC_REQUIRE=$$required $(PY) setup.py --quiet build_ext --inplace --parallel $(JOBS)
	@if $(has_modules); then touch $@; fi

test conformance conformance-quick lint bench soak chaos fuzz: REQUIRE_COMPILED := 1
demo: REQUIRE_COMPILED := 0
