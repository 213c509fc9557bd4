# Two commands matter: `make run` and `make test`. `make help` lists the others.
.DEFAULT_GOAL := help
SHELL := /bin/sh
CARGO ?= cargo
# A test that cannot run here writes a line, `data NAME` or `root NAME`; `make test` counts them.
export HOSTWELL_SKIPPED := $(CURDIR)/target/skipped-tests

.PHONY: help run test test-long check tools eval bench bench-agent bench-history bench-sets bench-growth bench-rules audit

help: ## Lists these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Builds, then runs collector and agent on this machine (data in ./hostwell-data)
	$(CARGO) run --release -- up

test: ## Everything: checks, then all tests on the real binaries
	@sh tests/scripts/tools.sh test
	@mkdir -p target && : > $(HOSTWELL_SKIPPED)
	@$(MAKE) --no-print-directory check
	$(CARGO) build --workspace --bins --tests
	HOSTWELL_PREBUILT=1 $(CARGO) test --workspace
	@awk '/^root /{r++} /^data /{d++} END {printf "tests skipped: %d for lack of root, %d for lack of HOSTWELL_DATA\n", r, d}' $(HOSTWELL_SKIPPED)

test-long: ## The same with longer ledgers and more property cases (the cut of two minutes at full length)
	HOSTWELL_LONG=1 PROPTEST_CASES=4096 $(MAKE) --no-print-directory test
	$(CARGO) clippy -p hostwell --features parquet --all-targets --quiet -- -D warnings
	$(CARGO) test -p hostwell --features parquet --lib export

check: ## Format, lints and documentation, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' $(CARGO) doc --workspace --no-deps --quiet

bench: ## Benchmarks of the parts, in this process: a tick of the agent, the store
	$(CARGO) bench -p hostwell-agent --bench tick
	$(CARGO) bench -p hostwell-tests --bench store

bench-agent: ## The agent beside node_exporter, collectd and pcp; exit 1 when a must is missed
	@sh tests/scripts/tools.sh bench
	$(CARGO) build --release --bins
	$(CARGO) build --profile agent -p hostwell-agent
	cp target/agent/hostwell-agent target/release/
	HOSTWELL_PREBUILT=1 $(CARGO) bench -p hostwell-tests --bench agent

eval: ## Foresight on real server data, scored; DATA=DIR SPLIT=NAME for others; exit 1 when a must is missed
	@sh tests/scripts/tools.sh eval
	$(if $(DATA),HOSTWELL_DATA='$(abspath $(DATA))') $(if $(SPLIT),HOSTWELL_SPLIT='$(SPLIT)') $(CARGO) bench -p hostwell-tests --bench eval

bench-sets: ## Real server data beside VictoriaMetrics: bytes a sample; exit 1 when a must is missed
	@sh tests/scripts/tools.sh bench-history
	$(CARGO) build --release --bins
	HOSTWELL_PREBUILT=1 $(CARGO) bench -p hostwell-tests --bench sets

bench-rules: ## Judging a fleet, in this process; exit 1 when a must is missed
	$(CARGO) bench -p hostwell-tests --bench rules

bench-growth: ## What grows with hosts and with age: bytes, memory, start, questions
	@sh tests/scripts/tools.sh bench-history
	$(CARGO) build --release --workspace --bins
	HOSTWELL_PREBUILT=1 $(CARGO) bench -p hostwell-tests --bench growth

bench-history: ## The history beside VictoriaMetrics and Prometheus; exit 1 when a must is missed
	@sh tests/scripts/tools.sh bench-history
	$(CARGO) build --release --workspace --bins
	HOSTWELL_PREBUILT=1 $(CARGO) bench -p hostwell-tests --bench history

audit: ## Licences, advisories and sources of the dependencies (needs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo 'cargo-deny is missing: cargo install --locked cargo-deny' >&2; exit 2; }
	$(CARGO) deny check
