# A bar with the time left, for set-up: source this (bash).

# Waits for process PID and returns its exit code; meanwhile, on a terminal, shows TEXT with how
# much of TOTAL is done, which the command that follows prints.
wait_with_bar() { # PID TEXT TOTAL COMMAND...
  local pid=$1 text=$2 total=$3 began=$SECONDS done share left bar
  shift 3
  # What a script starts in the background does not hear Ctrl-C.
  # shellcheck disable=SC2064
  trap "kill $pid 2>/dev/null; exit 130" INT TERM
  if [ -t 1 ]; then
    while kill -0 "$pid" 2>/dev/null; do
      done=$("$@" 2>/dev/null) || done=0
      share=$((total > 0 ? 100 * done / total : 0))
      share=$((share > 99 ? 99 : share))
      left='?:??'
      if [ "$share" -gt 0 ]; then
        left=$(((SECONDS - began) * (100 - share) / share))
        left=$(printf '%d:%02d' $((left / 60)) $((left % 60)))
      fi
      printf -v bar '%*s' $((share / 5)) ''
      printf '\r\033[K%s [%-20s] %2d %%, %s left' "$text" "${bar// /#}" "$share" "$left"
      sleep 0.5
    done
    printf '\r\033[K'
  fi
  local code=0
  wait "$pid" || code=$?
  trap - INT TERM
  return "$code"
}
