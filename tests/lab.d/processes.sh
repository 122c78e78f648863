# shellcheck shell=bash
# Words to the user, waiting with a limit, and processes: starting them, knowing them again, ending them.
# Sourced by tests/lab.

say() { echo "lab: $*" >&2; }

fail() {
  echo "lab: error: $*" >&2
  exit 1
}

usage() {
  echo "lab: $*; see tests/lab help" >&2
  exit 2
}

# wait_for SECONDS WHAT LOG COMMAND...: waits until the command succeeds; past the limit, shows the log's end.
wait_for() {
  local limit=$1 what=$2 log=$3
  shift 3
  local deadline=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then
      tail -n 20 "$log" >&2 || true
      fail "$what: not within $limit seconds; the end of $log is above"
    fi
    sleep 0.1
  done
}

# launch NAME COMMAND...: starts a process that outlives this script. The lock's descriptor is not passed on,
# as the lock would then be held for as long as the process lives.
launch() {
  local name=$1
  shift
  setsid "$@" >>"$LAB_DIR/log/$name.log" 2>&1 </dev/null 9>&- &
  local pid=$!
  echo "$pid $(start_time "$pid")" >"$LAB_DIR/pid/$name"
}

# A process id is used again one day; together with the time its process was started it is unique.
start_time() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # The fields follow the command's name, which is in brackets and may itself hold blanks and brackets.
  read -ra stat <<<"${stat##*) }"
  # A zombie has ended already.
  [[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

# process_id NAME: prints the id of a process that we started, while it lives.
process_id() {
  local pid started
  { read -r pid started <"$LAB_DIR/pid/$1"; } 2>/dev/null || return 1
  [[ $(start_time "$pid") == "$started" ]] && echo "$pid"
}

gone() { ! process_id "$1"; }

# stop_process NAME [SIGNAL]: ends a process that we started, and does nothing if it is gone.
stop_process() {
  local name=$1 signal=${2:-TERM} pid
  if pid=$(process_id "$name"); then
    kill -s "$signal" "$pid"
    await_end "$name" 10 || { kill -s KILL "$pid" && await_end "$name" 30; } || fail "$name ($pid) does not end"
  fi
  rm -f "$LAB_DIR/pid/$name"
}

await_end() {
  local name=$1 deadline=$((SECONDS + $2))
  until gone "$name" >/dev/null; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

describe_process() {
  local pid
  if pid=$(process_id "$1"); then echo "process $pid, log $LAB_DIR/log/$1.log"; else echo "not running"; fi
}
