# Sourced by scripts/check and scripts/test: run named stages, all of them, and tell at the end which failed.

stage_lines=()
stage_failures=0

# stage NAME COMMAND...: run a command, show its output, remember its time and outcome.
stage() {
    local name="$1" started=$SECONDS outcome=passed
    shift
    printf '\n── %s\n' "$name"
    "$@" || { outcome="FAILED ($?)" && stage_failures=$((stage_failures + 1)); }
    stage_lines+=("$(printf '%-14s %5d s  %s' "$name" "$((SECONDS - started))" "$outcome")")
}

static_stages() {
    stage "ruff check" .venv/bin/python -m ruff check .
    stage "ruff format" .venv/bin/python -m ruff format --check .
    stage "mypy" .venv/bin/python -m mypy
    stage "import-linter" .venv/bin/lint-imports --no-logo
}

# Print the summary; the exit status is that of the whole.
summarize() {
    printf '\n── summary\n'
    printf '%s\n' "${stage_lines[@]}"
    [ "$stage_failures" -eq 0 ]
}
