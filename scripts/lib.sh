# shellcheck shell=bash
# What the scripts share: where things are, how they speak, and how they become root. Sourced, never run.
#
# Everything of ours that is not in git lives under .data/ (servers, tools, logs) and .venv/ (the locked environment).

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
DATA="$ROOT/.data"
TOOLS="$DATA/tools"
SETUP_LOG="$DATA/setup.log"
export ROOT DATA TOOLS SETUP_LOG

# Containers often forbid Python to keep what it compiles. Each start of ours would then compile all libraries anew:
# four seconds instead of one, for every process of a demonstration and of a hundred tests.
unset PYTHONDONTWRITEBYTECODE

# Progress goes to standard error: standard output belongs to results (verify-tracks ends with a JSON object).
say() { printf '%s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Run a step quietly; when it fails, show the end of what it said.
logged() {
  if ! "$@" >>"$SETUP_LOG" 2>&1 </dev/null; then
    tail -n 20 "$SETUP_LOG" >&2
    return 1
  fi
}

prepare_data() {
  # Others may pass through: as root, PostgreSQL may have to run as another user below it.
  [ -d "$DATA" ] || mkdir -m 711 "$DATA" 2>/dev/null || die "cannot write in $ROOT" "clone into a directory of your own"
  [ -w "$DATA" ] || die "$DATA belongs to another user" "run this as that user, or: sudo make clean"
  mkdir -p "$TOOLS"
  # Caches need a home; a fresh container or a service may have none.
  if [ -z "${HOME:-}" ] || ! mkdir -p "$HOME" 2>/dev/null || [ ! -w "$HOME" ]; then
    mkdir -p "$DATA/home"
    export HOME="$DATA/home"
  fi
  unset VIRTUAL_ENV UV_PROJECT_ENVIRONMENT PYTHONHOME
}

is_root() { [ "$(id -u)" -eq 0 ]; }

can_be_root() { is_root || { have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }; }

# Run a command as root. sudo forgets the environment, so what apt needs of it is handed over by name.
as_root() {
  if is_root; then
    "$@"
  else
    sudo env "http_proxy=${http_proxy:-}" "https_proxy=${https_proxy:-}" "no_proxy=${no_proxy:-}" \
      "DEBIAN_FRONTEND=${DEBIAN_FRONTEND:-}" "$@"
  fi
}

# A mark that a step was done for exactly these inputs: `stamped NAME INPUT…` asks, `stamp NAME INPUT…` sets.
stamp_of() { cat "${@:2}" 2>/dev/null | cksum; }
stamped() { [ "$(cat "$TOOLS/$1.stamp" 2>/dev/null)" = "$(stamp_of "$@")" ]; }
stamp() { stamp_of "$@" >"$TOOLS/$1.stamp"; }
