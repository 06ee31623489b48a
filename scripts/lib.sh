# Sourced by the scripts beside it: what they need on the machine, installed where the rights allow it and named
# exactly where they do not. Debian 12 and 13 are tried; Ubuntu is handled but untried, and so is Termux on Android.

export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -f Cargo.toml ] || { echo "scripts/lib.sh: no Cargo.toml in $PWD; run the scripts from a clone of the repository" >&2; exit 1; }

say() { printf "%s\n" "$@" >&2; }

# Where cargo puts its output; passing never depends on what is in there already.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;; esac

# Runs a command with the rights to install packages; fails where there are none.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@" </dev/null
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@" </dev/null
    else
        return 1
    fi
}

# Termux, where there is no root and no /etc, and packages have names of their own.
on_android() { [ "$(uname -o)" = Android ]; }

# Installs Debian packages, or tells the line to type and stops.
install_packages() {
    local line="apt-get update && apt-get install -y --no-install-recommends $*"
    if on_android; then
        say "Missing: $*. In Termux, type:" "    pkg install $*"
        exit 1
    fi
    if ! command -v apt-get >/dev/null; then
        say "Missing: $*. This script knows Debian's and Ubuntu's packages only: install what they are called here."
        exit 1
    fi
    if as_root true && say "Installing: $*" && as_root apt-get update -q >&2 &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2; then
        return
    fi
    say "Missing: $*. Could not install them; type:"
    if [ "$(id -u)" = 0 ]; then say "    $line"; else say "    sudo sh -c '$line'"; fi
    exit 1
}

# need TOOL=PACKAGE…: installs the package of every tool that is not on PATH, all in one go.
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

# The oldest Rust that builds this, from Cargo.toml.
rust_wanted() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml; }

# Whether a toolchain on PATH is new enough and has the cargo subcommands asked for.
rust_ok() {
    local have sub
    have=$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p')
    [ -n "$have" ] && cargo --version >/dev/null 2>&1 || return 1
    [ "$(printf '%s\n%s\n' "$(rust_wanted)" "$have" | sort -V | head -n 1)" = "$(rust_wanted)" ] || return 1
    for sub in "$@"; do cargo "$sub" --version >/dev/null 2>&1 || return 1; done
}

# Tries PATH with a folder in front. The folder of rustup goes to the end: cargo would otherwise prefer the
# subcommands in there to those beside itself.
rust_in() {
    local dir=$1 before=$PATH
    shift
    [ -x "$dir/rustc" ] || return 1
    PATH=$dir:$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin
    rust_ok "$@" && return
    PATH=$before
    return 1
}

# need_rust [SUBCOMMAND…]: a toolchain that is new enough, with those cargo subcommands (fmt, clippy), on PATH.
need_rust() {
    if on_android; then
        # Its clang is gcc and g++ too, and brings the library for the bindings.
        need clang=clang make=make cargo=rust
        rust_ok "$@" && return
        say "Termux's Rust is $(rustc --version); $(rust_wanted) or newer is wanted. Type:" "    pkg upgrade"
        exit 1
    fi
    # clang: its library reads RocksDB's C header for the bindings.
    need gcc=gcc g++=g++ make=make clang=clang
    [ -e /etc/ssl/certs/ca-certificates.crt ] || install_packages ca-certificates
    unset RUSTC RUSTDOC
    rust_ok "$@" || rust_in "${CARGO_HOME:-${HOME:-}/.cargo}/bin" "$@" || rust_in /usr/bin "$@" || install_rust "$@"
}

# need_rocksdb TARGET: compiles RocksDB as cargo would, but in a few lumps instead of 343 files that each read the same
# headers again, and once for all profiles: nine minutes of processor time instead of fifty for each. CXX and AR name the
# tools, as they do for cargo. Where it fails, cargo does it its own way.
need_rocksdb() {
    local crates source zstd dir lumps=14 system
    unset ROCKSDB_LIB_DIR ROCKSDB_STATIC
    crates=$(cargo metadata --format-version 1 --locked | grep -o '"manifest_path":"[^"]*"' | cut -d '"' -f 4)
    # The settings of the crate's own build script.
    system=(-DOS_LINUX -DROCKSDB_SCHED_GETCPU_PRESENT -DROCKSDB_AUXV_GETAUXVAL_PRESENT -DROCKSDB_FALLOCATE_PRESENT
        -DROCKSDB_RANGESYNC_PRESENT)
    case $1:$(uname -o) in
    *-android:* | host:Android)
        system=(-DOS_ANDROID)
        # The crate takes Android for a Linux here, where libstdc++ is the C++ library.
        export CXXSTDLIB=c++_shared
        ;;
    esac
    source=$(dirname "$(grep '/librocksdb-sys-[^/]*/Cargo.toml$' <<<"$crates")")
    zstd=$(dirname "$(grep '/zstd-sys-[^/]*/Cargo.toml$' <<<"$crates")")/zstd/lib
    dir=$CARGO_TARGET_DIR/rocksdb/$(basename "$source")-$1
    if [ ! -e "$dir/librocksdb.a" ]; then
        say "Compiling RocksDB for $1."
        rm -rf "$dir" && mkdir -p "$dir"
        sed "s|.*|#include \"$source/rocksdb/&\"|" "$source/rocksdb_lib_sources.txt" | grep -v build_version.cc \
            >"$dir/all"
        echo "#include \"$source/build_version.cc\"" >>"$dir/all"
        split -n "l/$lumps" -d --additional-suffix=.cc "$dir/all" "$dir/part"
        if ! find "$dir" -name 'part*.cc' -print0 | xargs -0 -P "$(nproc)" -I '{}' "${CXX:-g++}" -c '{}' -o '{}.o' \
            -std=c++20 -O2 -fPIC -ffunction-sections -fdata-sections -fno-omit-frame-pointer -w -include cstdint \
            -I "$source/rocksdb/include" -I "$source/rocksdb" -I "$source" -I "$zstd" \
            -DNDEBUG=1 -DZSTD=1 -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION -DROCKSDB_PLATFORM_POSIX \
            -DROCKSDB_LIB_IO_POSIX "${system[@]}" >&2 ||
            ! "${AR:-ar}" crs "$dir/new.a" "$dir"/part*.o || ! mv "$dir/new.a" "$dir/librocksdb.a"; then
            say "That failed; cargo will compile it file by file."
            return
        fi
        rm -f "$dir"/part* "$dir/all"
    fi
    export ROCKSDB_LIB_DIR=$dir ROCKSDB_STATIC=1
}

# js_packages NAME: installs what tests/system/js/NAME wants, beside a copy of it under the target folder, and leaves that
# folder's path in js_folder. The packages bring their own Node, of the version that they are made for.
js_packages() {
    need node=nodejs npm=npm
    js_folder=$CARGO_TARGET_DIR/js-$1
    mkdir -p "$js_folder"
    cp -r "tests/system/js/$1/." "$js_folder/"
    if [ ! -e "$js_folder/installed" ] || ! cmp -s "$js_folder/package-lock.json" "$js_folder/installed"; then
        npm ci --prefix "$js_folder" --no-audit --no-fund --loglevel=error >&2
        cp "$js_folder/package-lock.json" "$js_folder/installed"
    fi
}

# Debian's security archive has the newer Rust. Every installed Debian knows it; a root made by debootstrap does not, so
# there it is written after the line of the main archive.
add_security_archive() {
    local list=/etc/apt/sources.list line
    grep -qrs -e -security /etc/apt/sources.list /etc/apt/sources.list.d && return
    line=$(. /etc/os-release && sed -n "s#^deb \(.*\)/debian/* $VERSION_CODENAME main.*#deb \1/debian-security $VERSION_CODENAME-security main#p" \
        "$list" | head -n 1)
    [ -n "$line" ] && say "Adding Debian's security archive to apt's sources: $line" &&
        as_root sh -c 'echo "$1" >/etc/apt/sources.list.d/debian-security.list' sh "$line"
}

install_rust() {
    local packages=(rustc-web cargo-web rust-web-clippy rustfmt-web)
    say "No Rust $(rust_wanted) or newer${*:+ with cargo $*} here$(rustc --version 2>/dev/null | sed 's/^/; found /')."
    add_security_archive || true
    as_root apt-get update -q >&2 || true
    if apt-cache show rustc-web >/dev/null 2>&1; then
        install_packages "${packages[@]}"
        rust_in /usr/bin "$@" && return
        say "Debian's rustc-web is $(/usr/bin/rustc --version). Newer ones are in the security archive of your Debian: add it to apt's sources, then:"
        say "    apt-get update && apt-get install -y ${packages[*]}"
        exit 1
    fi
    need rustup=rustup
    rustup toolchain install stable --profile default >&2 && rustup default stable >&2 || true
    rust_ok "$@" || rust_in /usr/bin "$@" && return
    say "Could not get Rust $(rust_wanted). Type:"
    say "    rustup toolchain install stable --profile default && rustup default stable"
    exit 1
}

# Steps: each is timed, its output kept for the tally, its outcome remembered; the run goes on after a failure.
STEP_LOG=${STEP_LOG:-}
STEP_ROWS=${STEP_ROWS:-}
STEPS_FAILED=${STEPS_FAILED:-0}

# step NAME COMMAND…
step() {
    local name=$1 from=$SECONDS failed_before outcome=ok tenths
    shift
    [ -n "$STEP_LOG" ] || { STEP_LOG=$(mktemp) && trap 'rm -f "$STEP_LOG"' EXIT; }
    failed_before=$(tally failed)
    say "" "== $name"
    if ! "$@" </dev/null 2>&1 | tee -a "$STEP_LOG"; then
        outcome=FAILED
        # A step that broke before it could count a test counts as one failure itself.
        [ "$(tally failed)" -gt "$failed_before" ] || STEPS_FAILED=$((STEPS_FAILED + 1))
    fi
    tenths=$(((SECONDS - from + 3) / 6))
    STEP_ROWS+=$(printf '%4d.%d min  %-6s  %s' $((tenths / 10)) $((tenths % 10)) "$outcome" "$name")$'\n'
    [ "$outcome" = ok ]
}

# tally passed|failed|skipped: the sum over everything that counted in the steps so far, from cargo test's closing
# lines and the vector runner's. A test that had to skip itself says so in a line of its own (tests/skips.txt).
tally() {
    awk -v want="$1" '
        /^test result: /                                 { passed += $4; failed += $6; skipped += $8 }
        /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { passed += $1; failed += $3; skipped += $5 }
        /^SKIPPED /                                      { passed -= 1; skipped += 1 }
        END { print (want == "passed" ? passed : want == "failed" ? failed : skipped) + 0 }' "${STEP_LOG:-/dev/null}"
}

# Prints the minutes per step and the closing line; fails if anything failed or nothing ran.
close_steps() {
    local passed failed
    passed=$(tally passed)
    failed=$(($(tally failed) + STEPS_FAILED))
    grep '^SKIPPED ' "$STEP_LOG" | sort -u || true
    printf '\n%s\n' "$STEP_ROWS"
    echo "$passed passed, $failed failed, $(tally skipped) skipped"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
