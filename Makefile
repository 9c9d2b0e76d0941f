# Each target is one line; what is behind it is in scripts/.
.DEFAULT_GOAL := help
.PHONY: help up demo down status logs books chaos starve attacks clients contracts analytics test lint fmt advisories bench-quick bench-flood clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Install what is missing, build, start the platform, print where it is
	@scripts/platform up

demo: ## Tell the saga's story on the running platform (starts it when needed)
	@scripts/platform demo

down: ## Stop the platform; data stays
	@scripts/platform down

status: ## Say what runs, and where
	@scripts/platform status

logs: ## Follow the logs of everything that runs
	@scripts/platform logs

books: ## Compare the books of the running platform; SETTLE=60 waits that long for it to come to rest
	@scripts/platform books

chaos: ## Harm a platform of its own under load, then compare the books; MINUTES=5 SEED=1 RATE=15
	@scripts/platform chaos

starve: ## Starve the broker of a platform of its own under load, see all recover by themselves; ROUNDS=20 PART=kafka SEED=1
	@scripts/platform starve

attacks: ## Send hostile requests to the running platform and check the answers; URL= ADMIN= STACK= CA= ONLY=TOK
	@scripts/platform attacks

clients: ## Send 1,000 POSTs through the gateway with each of seven real HTTP clients; none may be lost
	@scripts/clients

contracts: ## Write docs/contracts and docs/ERRORS.md anew from the code
	@scripts/contracts

analytics: ## Start a sixth participant beside the running platform: revenue a day, failure rates
	@scripts/analytics

test: ## Run every check a change must pass
	@scripts/test

lint: ## Run the checks that need no running part: format, spelling, dependencies, clippy
	@scripts/lint

fmt: ## Format the code
	@cargo fmt --all

advisories: ## Look the dependencies up in the RustSec database (needs the network)
	@scripts/setup lint && .stack/tools/bin/cargo-deny --locked check advisories

bench-quick: ## Saturate an optimised stack of its own for 30 s and print its figures
	@scripts/setup && cargo build --release --workspace --bins --locked && target/release/stack bench

bench-flood: ## Orders beside a flood of logins, compared with orders alone
	@scripts/setup && cargo build --release --workspace --bins --locked && target/release/stack bench --login-flood --seconds 15

clean: ## Stop the platform and remove its data and everything that was built
	@scripts/platform clean
