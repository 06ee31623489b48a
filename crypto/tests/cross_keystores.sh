#!/bin/sh
# Lets ethstaker_deposit 1.3.1 open keystores that our crypto crate writes. Needs python3 with venv, pip's package
# index and about a minute; everything goes to target/ethstaker_deposit.
set -eu
cd "$(dirname "$0")/../.."
dir="${CARGO_TARGET_DIR:-target}/ethstaker_deposit"
if [ ! -x "$dir/venv/bin/python" ]; then
    python3 -m venv "$dir/venv"
fi
"$dir/venv/bin/pip" install --quiet ethstaker_deposit==1.3.1
cargo run --quiet --release -p crypto --example keystores > "$dir/ours.json"
"$dir/venv/bin/python" crypto/tests/cross_keystores.py check "$dir/ours.json"
