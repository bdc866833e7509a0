# `make help` lists the targets.

PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= swift
# Debian's interpreter: python3-pytest and python3-websockets are installed for it.
PYTHON ?= /usr/bin/python3
PYTEST ?= $(PYTHON) -m pytest
BENCH_REPEAT ?= 3
FUZZ_SECONDS ?= 60
# Processes that share the end-to-end tests: most of those wait, rather than compute.
E2E_JOBS ?= 2

BUILD := .build/release
PLUGINS := $(sort $(notdir $(patsubst %/Entry,%,$(wildcard Plugins/*/Entry))))
LIBRARIES := $(PLUGINS:%=$(BUILD)/lib%.so)
# The engine for tests of plugins.
ENGINE := libSluiceEngine.so
SWIFT_SOURCES := $(wildcard Sources Tests Plugins SDK/Sources SDK/Tests Package.swift SDK/Package.swift)

bin := $(DESTDIR)$(PREFIX)/bin
lib := $(DESTDIR)$(PREFIX)/lib
include := $(DESTDIR)$(PREFIX)/include
share := $(DESTDIR)$(PREFIX)/share/sluice

.DEFAULT_GOAL := build
# The steps of `test` share build folders and ports of the machine.
.NOTPARALLEL:
.PHONY: help build deps test-deps toolchain run test lint unit abi e2e embedded fuzz fuzz-asan fuzz-tsan cache-tsan counts bench lifecycle chaos cache-bench cache-conformance cache-endurance install uninstall clean

help: ## Print this list.
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) \
	    | while IFS='|' read -r name text; do printf '  %-10s %s\n' "$$name" "$$text"; done

build: toolchain ## Build the proxy and its plugins for release, into .build/release.
	$(SWIFT) build -c release --static-swift-stdlib

deps: ## Install the Debian packages that a build needs, if they are missing.
	@scripts/packages build

test-deps: deps ## Install the Debian packages that the tests need, if they are missing.
	@scripts/packages test

toolchain:
	@command -v $(SWIFT) >/dev/null || { \
	    echo "make: no '$(SWIFT)' on PATH. Install Swift 6.3 (https://www.swift.org/install/linux)" \
	        "and put its usr/bin on PATH, or say 'make SWIFT=/path/to/swift'." >&2; exit 1; }

run: deps build ## Run a complete example: the proxy on 127.0.0.1:8080 with two origins.
	$(BUILD)/sluice demo

test: test-deps lint unit abi build e2e counts ## Install what the tests need, and run every check.

lint: toolchain ## Check the format of the Swift sources.
	$(SWIFT) format lint --strict --recursive $(SWIFT_SOURCES)

unit: toolchain ## Run the unit tests of the proxy, the plugins and the SDK.
	$(SWIFT) test
	SLUICE_ENGINE=$(CURDIR)/.build/debug/$(ENGINE) $(SWIFT) test --package-path SDK

abi: toolchain ## Compare the plugin ABI's headers with what is promised of them.
	$(PYTEST) Tests/ABI

e2e: ## Run the end-to-end tests against .build/release/sluice.
	@# Compilers would disturb who measures, and so would another test.
	@status=0; for marks in "compiles" "alone" "not compiles and not alone"; do \
	    jobs="-n $(E2E_JOBS) --dist loadfile"; test "$$marks" != alone || jobs=; \
	    echo $(PYTEST) Tests/EndToEnd -m "'$$marks'" $$jobs; \
	    $(PYTEST) Tests/EndToEnd -m "$$marks" $$jobs || status=1; \
	done; exit $$status

embedded: toolchain ## Build the plugins as Embedded Swift, without a runtime, into .build-embedded.
	SWIFT=$(SWIFT) scripts/embedded

fuzz: build ## Let plugins do what random numbers say for a while (FUZZ_SECONDS, 60).
	Tests/Fuzz/boundary.py --seconds $(FUZZ_SECONDS)

# What keeps state from one request to the next. A sanitizer's memory is no measure of ours.
SANITIZED := $(wildcard $(addprefix Tests/EndToEnd/test_,access_log*.py cache.py cache_chaos.py \
    cache_fills.py cache_role.py compression.py discovery*.py failover*.py health_checks.py metrics*.py \
    rate_limit*.py reload*.py supervisor_admin.py top.py tracing*.py))

fuzz-asan: toolchain ## The same under AddressSanitizer, and the tests of what keeps state.
	SWIFT=$(SWIFT) scripts/sanitized address
	ASAN_OPTIONS=detect_leaks=0 SLUICE_BIN=$(CURDIR)/.build-asan/release/sluice \
	    Tests/Fuzz/boundary.py --seconds $(FUZZ_SECONDS)
	ASAN_OPTIONS=detect_leaks=0 SLUICE_BIN=$(CURDIR)/.build-asan/release/sluice \
	    $(PYTEST) $(SANITIZED) -n $(E2E_JOBS) --dist loadfile \
	    -k "not large_texts and (not memory_is_bounded or collector)"

fuzz-tsan: toolchain ## The same under ThreadSanitizer, and the tests of services.
	SWIFT=$(SWIFT) scripts/sanitized thread
	SLUICE_BIN=$(CURDIR)/.build-tsan/release/sluice Tests/Fuzz/boundary.py --seconds $(FUZZ_SECONDS)
	SLUICE_BIN=$(CURDIR)/.build-tsan/release/sluice $(PYTEST) \
	    Tests/EndToEnd/test_services.py Tests/EndToEnd/test_callouts.py

cache-tsan: toolchain ## Let threads loose on the cache's core and disk tier under ThreadSanitizer.
	SWIFT=$(SWIFT) scripts/sanitized cache
	.build-tsan/release/TinyUFOBench stress
	folder=$$(mktemp -d) && .build-tsan/release/CacheDiskBench stress $$folder 2097152 5000; \
	    status=$$?; rm -rf $$folder; exit $$status

counts: ## Count allocations, system calls and instructions per request; fails over a threshold.
	$(PYTHON) Tests/Bench/counts.py

bench: build ## Measure CPU per request beside nginx, HAProxy and h2o (about 25 minutes).
	@mkdir -p .build/bench
	Tests/Bench/peers/peers.py run --proxy sluice,nginx,haproxy,h2o --repeat $(BENCH_REPEAT) \
	    --workload h1_1k,h1_64k,h1_1m,h1_close,post_64k,tls_h1_1k,tls_handshake,tls_resume,h2_tls,h2c,h1_c1,h1_c16,h1_c256,h1_c1024,idle_h1 \
	    --out .build/bench/results.json
	Tests/Bench/peers/peers.py ratio --out .build/bench/results.json

lifecycle: build ## Swap, reload and upgrade under load, with nginx and HAProxy beside it (about 20 minutes).
	@set -e; for proxy in sluice nginx haproxy; do \
	    Tests/Bench/lifecycle/reloads.py --proxy $$proxy || test $$proxy != sluice; \
	    Tests/Bench/lifecycle/upgrades.py --proxy $$proxy || test $$proxy != sluice; \
	done
	Tests/Bench/lifecycle/swaps.py --ratio 1.5
	Tests/Bench/lifecycle/swaps.py --distinct --count 200
	Tests/Bench/lifecycle/steps.py

chaos: build ## Let origins fail under load, with HAProxy beside it (about 8 minutes), and count shares.
	Tests/Bench/chaos/chaos.py
	Tests/Bench/balancers.py

cache-bench: toolchain ## Print the cache's hit ratios and nanoseconds per call, beside LRU.
	$(SWIFT) build -c release --product TinyUFOBench
	$(BUILD)/TinyUFOBench ratios
	$(BUILD)/TinyUFOBench speed

cache-conformance: ## Play the cache's cases through Sluice and nginx; the numbers go into the docs.
	$(PYTHON) Tests/EndToEnd/cachetable.py

cache-endurance: ## Let clients loose on the cache for ten minutes.
	$(PYTEST) -s Tests/EndToEnd/test_cache_stress.py --cache-stress 600

install: ## Install what was built below PREFIX (/usr/local); DESTDIR for packaging.
	@test -x $(BUILD)/sluice || { echo "make: nothing is built yet; run 'make build'" >&2; exit 1; }
	install -d $(bin) $(lib)/sluice/plugins $(lib)/pkgconfig $(include)/sluice/ext $(include)/sluice/testing $(share)/SDK $(share)/examples
	install -m 755 $(BUILD)/sluice $(bin)/sluice
	install -m 755 $(LIBRARIES) $(lib)/sluice/plugins/
	install -m 755 $(BUILD)/$(ENGINE) $(lib)/sluice/
	strip --strip-unneeded $(bin)/sluice $(lib)/sluice/$(ENGINE) $(LIBRARIES:$(BUILD)/%=$(lib)/sluice/plugins/%)
	install -m 644 SDK/Sources/CSluice/include/sluice/*.h $(include)/sluice/
	install -m 644 SDK/Sources/CSluice/include/sluice/ext/*.h $(include)/sluice/ext/
	install -m 644 SDK/Sources/CSluice/include/sluice/testing/*.h $(include)/sluice/testing/
	tar -C SDK --exclude='.build*' --exclude=Package.resolved --exclude=target --exclude=Cargo.lock -cf - . | tar -C $(share)/SDK --no-same-owner -xf -
	tar -C examples --exclude='.build*' --exclude=Package.resolved --exclude=target --exclude=Cargo.lock -cf - . | tar -C $(share)/examples --no-same-owner -xf -
	sed -i 's|/usr/local/|$(PREFIX)/|' $(share)/examples/systemd/sluice.service
	scripts/pkgconfig $(PREFIX) "$$($(BUILD)/sluice version)" > $(lib)/pkgconfig/sluice.pc

uninstall: ## Remove what `install` installed.
	rm -f $(bin)/sluice $(lib)/sluice/$(ENGINE) $(lib)/pkgconfig/sluice.pc
	rm -f $(LIBRARIES:$(BUILD)/%=$(lib)/sluice/plugins/%)
	rm -rf $(include)/sluice $(share)
	@rmdir $(lib)/sluice/plugins $(lib)/sluice 2>/dev/null || true

clean: ## Remove all that was built.
	rm -rf .build .build-embedded SDK/.build examples/*/.build
