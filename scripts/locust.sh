# shellcheck shell=bash
# Locust, in an environment of its own: importing it replaces Python's sockets, so nothing of ours may be beside it.

set_up_locust() {
  local inputs=("$ROOT/uv.lock" "$ROOT/pyproject.toml")
  if "$TOOLS/locust/bin/python" -c '' 2>/dev/null && stamped locust "${inputs[@]}"; then return; fi
  say "Installing Locust into an environment of its own"
  (cd "$ROOT" && UV_PROJECT_ENVIRONMENT="$TOOLS/locust" logged "$TOOLS/uv/bin/uv" sync --locked --only-group load \
    --no-install-project --no-python-downloads --python "$ROOT/.venv/bin/python") ||
    die "Locust could not be installed" "see $SETUP_LOG"
  stamp locust "${inputs[@]}"
}
