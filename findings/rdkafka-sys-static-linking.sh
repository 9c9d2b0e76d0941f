#!/usr/bin/env bash
# rdkafka-sys 4.10.0+2.12.1: the feature `static-linking` changes nothing.
#
# The feature promises to link a librdkafka that was built elsewhere. The build script looks for another feature's variable
# (static_external, which the manifest does not have), so the bundled sources are compiled and linked all the same, without a
# word: whoever thinks that his own librdkafka is in the program has the bundled one. Seen: the build succeeds although no
# other librdkafka is there, and its output says that the bundled one is built.
#
# Needs cargo, a C compiler, make and the crates.io registry; a minute or two.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
echo 'fn main() { println!("{:#x}", unsafe { rdkafka_sys::rd_kafka_version() }); }' >src/main.rs
cat >Cargo.toml <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"

[dependencies]
rdkafka-sys = { version = "=4.10.0+2.12.1", default-features = false, features = ["static-linking"] }
TOML
env -u DEP_LIBRDKAFKA_STATIC_ROOT cargo build --quiet
said=$(cat target/debug/build/rdkafka-sys-*/stderr)
version=$(target/debug/probe)
printf 'version linked: %s\n%s\n' "$version" "$(grep -m1 'librdkafka' <<<"$said")"
[ "$version" = 0x20c01ff ] || { echo 'changed: another version is linked'; exit 1; }
grep -q 'Building and linking librdkafka statically' <<<"$said" || { echo 'changed: the bundled one is not built'; exit 1; }
