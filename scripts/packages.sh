# shellcheck shell=bash
# Python, Redis, PostgreSQL with PostGIS and what only tests run: looked for, installed by apt where that can be done, named where it cannot.
# Sourced by setup. Starts and stops no service: ours have their own directories and ports.

BREW_PACKAGES=""
APT_PACKAGES=""
MISSING=""

# The newest usable Python, or nothing. ensurepip is what Debian keeps in a package of its own (python3-venv).
find_python() {
  local name
  for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if have "$name" && "$name" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  return 1
}

# Sharded publish and subscribe came with Redis 7.
find_redis() { redis-server --version 2>/dev/null | grep -Eq ' v=([7-9]|[1-9][0-9])\.'; }

find_postgis() {
  local bin shared
  for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
    "$(dirname "$(command -v postgres || echo /nowhere/postgres)")"; do
    if [ -x "$bin/initdb" ] && shared=$("$bin/pg_config" --sharedir 2>/dev/null) &&
      [ -e "$shared/extension/postgis.control" ]; then return; fi
  done
  return 1
}

# What is missing, with its names for apt and brew. PostgreSQL's version number is asked of apt only when it is needed.
list_missing() {
  find_python >/dev/null || need "Python 3.11 or newer, with venv" "python3 python3-venv" "python@3.13"
  if wanted servers; then
    find_redis || need "Redis 7 or newer" "redis-server" "redis"
    find_postgis || need "PostgreSQL with PostGIS" "postgresql-postgis" "postgresql@17 postgis"
  fi
  if wanted tests; then
    find_chromium || need "Chromium" "chromium" "google-chrome"
    have_program nginx || need "nginx" "nginx-light" "nginx"
    have docker-compose || need "docker-compose" "docker-compose" "docker-compose"
    have xmllint || need "xmllint" "libxml2-utils" "libxml2"
  fi
}

# PARTS is what this set-up is for: `servers`, and `tests` with them.
wanted() { case " $PARTS " in *" $1 "*) ;; *) return 1 ;; esac; }

# Debian keeps servers out of the path of users who are not root.
have_program() { have "$1" || [ -x "/usr/sbin/$1" ]; }

# Ubuntu's is a starter for a snap, which tests cannot drive; CHROMIUM names one that they can.
find_chromium() {
  local browser
  for browser in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" /Applications/Chromium.app/Contents/MacOS/Chromium; do
    [ -z "$browser" ] || ! have "$browser" || ! "$browser" --version >/dev/null 2>&1 || return 0
  done
  return 1
}

need() {
  MISSING="${MISSING:+$MISSING, }$1"
  APT_PACKAGES="${APT_PACKAGES:+$APT_PACKAGES }$2"
  BREW_PACKAGES="${BREW_PACKAGES:+$BREW_PACKAGES }$3"
}

# Package names carry version numbers that differ from release to release.
resolve_apt_names() {
  local postgis python
  postgis=$(newest '^postgresql-[0-9]+-postgis-3$')
  APT_PACKAGES=${APT_PACKAGES/postgresql-postgis/${postgis:-postgresql-15-postgis-3}}
  case " $APT_PACKAGES " in
  *" python3-venv "*)
    # Ubuntu 22.04's python3 is 3.10; its 3.11 is a package beside it.
    if have python3 && ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      python=$(newest '^python3\.1[1-9]$')
      [ -z "$python" ] || APT_PACKAGES="${APT_PACKAGES/python3 python3-venv/$python $python-venv}"
    fi
    ;;
  esac
}

newest() { apt-cache search --names-only "$1" 2>/dev/null | cut -d ' ' -f 1 | sort -V | tail -n 1; }

install_missing() {
  MISSING="" APT_PACKAGES="" BREW_PACKAGES=""
  list_missing
  [ -n "$MISSING" ] || return 0
  if ! have apt-get; then
    tell_what_is_missing
  elif ! can_be_root; then
    resolve_apt_names
    tell_what_is_missing
  fi
  install_with_apt
  MISSING="" APT_PACKAGES="" BREW_PACKAGES=""
  list_missing
  [ -z "$MISSING" ] || { resolve_apt_names && tell_what_is_missing; }
}

install_with_apt() {
  export DEBIAN_FRONTEND=noninteractive
  [ -e /etc/ssl/certs/ca-certificates.crt ] || APT_PACKAGES="$APT_PACKAGES ca-certificates"
  say "Fetching the list of packages"
  logged as_root apt-get update -q || say "apt-get update failed; going on with the lists that are there"
  resolve_apt_names
  say "Installing $APT_PACKAGES (a minute or two; details in $SETUP_LOG)"
  without_services
  # shellcheck disable=SC2086 # a list of names
  logged as_root apt-get install -y -q --no-install-recommends $APT_PACKAGES || {
    services_again
    tell_what_is_missing
  }
  services_again
}

# Debian starts a service as it installs it, unless this file says no. Where it exists it is somebody's own decision.
POLICY=/usr/sbin/policy-rc.d
POLICY_IS_OURS=""

without_services() {
  [ ! -e "$POLICY" ] || return 0
  trap services_again EXIT
  trap 'exit 130' INT TERM
  POLICY_IS_OURS=yes
  # shellcheck disable=SC2016 # for root's shell
  as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >"$0" && chmod 755 "$0"' "$POLICY"
}

services_again() {
  [ -n "$POLICY_IS_OURS" ] || return 0
  POLICY_IS_OURS=""
  as_root rm -f "$POLICY"
  trap - EXIT INT TERM
}

tell_what_is_missing() {
  die "missing: $MISSING" \
    "Debian, Ubuntu:  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${APT_PACKAGES/postgresql-postgis/postgresql-15-postgis-3}" \
    "macOS:           brew install $BREW_PACKAGES" \
    "Then run the same command again. Ubuntu 22.04 has Redis 6 (newer: https://redis.io/docs/latest/operate/oss_and_stack/install/)" \
    "and Python 3.10 (newer: the package python3.11). Its Chromium is a snap: for tests, name another with CHROMIUM=path."
}
