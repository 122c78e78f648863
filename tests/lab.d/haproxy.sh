# shellcheck shell=bash
# The two HAProxies. Sourced by tests/lab.
#
# Both run in the foreground as a master with workers, so that USR2 reloads them wherever they run. With reach
# "host" they are processes on the host; with "network" containers on the overlay network, of an image that holds
# HAProxy's binary and its libraries. Their directory has the same path in the container, so that one
# configuration serves both.

log_port=5514

# With several nodes each HAProxy has one of its own.
haproxy_node() { echo "node-$(($1 <= nodes ? $1 : nodes))"; }

# Where its ports are seen from the host.
haproxy_address() {
  if [[ $reach == host ]]; then echo "$lab_address"; else node_address "$(haproxy_node "$1")"; fi
}

haproxy_url() { echo "http://$(haproxy_address "$1"):$((8080 + $1))"; }

# The runtime API: one by Unix socket and one by TCP, so that both transports are in use.
haproxy_runtime() {
  if (($1 == 1)); then
    echo "unix://$LAB_DIR/haproxy-1/admin.sock"
  else
    echo "tcp://$(haproxy_address 2):9992"
  fi
}

ensure_haproxies() {
  local i
  for i in 1 2; do start_haproxy "$i"; done
}

start_haproxy() {
  local i=$1 dir=$LAB_DIR/haproxy-$1
  # A second one would share the first one's ports without complaint, and halve its traffic.
  ! haproxy_running "$i" || return 0
  say "starting haproxy-$i, $(haproxy_url "$i")"
  mkdir -p "$dir"
  haproxy_config "$i" >"$dir/haproxy.cfg"
  if [[ $reach == host ]]; then
    launch "haproxy-$i" "${LAB_HAPROXY_BIN:-haproxy}" -W -db -f "$dir/haproxy.cfg"
  else
    start_haproxy_container "$i"
  fi
  wait_for 15 "haproxy-$i" "$(haproxy_log "$i")" haproxy_answers "$i"
}

start_haproxy_container() {
  local i=$1 node
  node=$(haproxy_node "$i")
  ensure_haproxy_image "$node"
  on "$node" rm --force "lab-haproxy-$i" >/dev/null 2>&1 || true
  on "$node" run --detach --name "lab-haproxy-$i" --hostname "lb-$i" --network "$LAB_NETWORK" \
    --publish "$((8080 + i)):$((8080 + i))" --publish "$((9990 + i)):$((9990 + i))" \
    --volume "$LAB_DIR/haproxy-$i:$LAB_DIR/haproxy-$i" \
    lab-haproxy -W -db -f "$LAB_DIR/haproxy-$i/haproxy.cfg" >/dev/null
  # The container's output is kept where the processes' output is.
  launch "haproxy-$i" docker -H "unix://$(node_socket "$node")" logs --follow "lab-haproxy-$i"
}

ensure_haproxy_image() {
  on "$1" image inspect lab-haproxy >/dev/null 2>&1 && return
  local binary libraries
  binary=$(command -v "${LAB_HAPROXY_BIN:-haproxy}")
  # Links are followed, so that the image has files under the names that the loader looks for.
  libraries=$(ldd "$binary" | grep --only-matching '/[^ ]*')
  # shellcheck disable=SC2086  # one word each, on purpose
  tar --create --dereference --absolute-names --transform "s,^$binary\$,/haproxy," "$binary" $libraries |
    on "$1" import --change 'ENTRYPOINT ["/haproxy"]' - lab-haproxy >/dev/null
}

haproxy_running() {
  if [[ $reach == host ]]; then
    process_id "haproxy-$1" >/dev/null
  else
    [[ $(on "$(haproxy_node "$1")" inspect --format '{{.State.Running}}' "lab-haproxy-$1" 2>/dev/null) == true ]]
  fi
}

haproxy_state() {
  if haproxy_running "$1"; then
    echo "$(haproxy_url "$1"), runtime API $(haproxy_runtime "$1"), log $(haproxy_log "$1")"
  else
    echo "not running"
  fi
}

haproxy_log() { echo "$LAB_DIR/log/haproxy-$1.log"; }

stop_haproxy() {
  say "stopping haproxy-$1"
  [[ $reach == host ]] || on "$(haproxy_node "$1")" rm --force "lab-haproxy-$1" >/dev/null
  stop_process "haproxy-$1"
}

restart_haproxy() {
  local i=$1 how=${2:-} before
  case $how in
    '') stop_haproxy "$i" && start_haproxy "$i" ;;
    --reload)
      say "reloading haproxy-$i"
      before=$(haproxy_pid "$i")
      if [[ $reach == host ]]; then
        kill -s USR2 "$(process_id "haproxy-$i")"
      else
        on "$(haproxy_node "$i")" kill --signal USR2 "lab-haproxy-$i" >/dev/null
      fi
      wait_for 15 "haproxy-$i's new worker" "$(haproxy_log "$i")" haproxy_replaced "$i" "$before"
      ;;
    *) usage "restart-haproxy knows only --reload" ;;
  esac
}

# ask_haproxy I COMMAND: one command to the runtime API.
ask_haproxy() {
  local address
  address=$(haproxy_runtime "$1")
  case $address in
    unix://*) address=UNIX-CONNECT:${address#unix://} ;;
    tcp://*) address=TCP:${address#tcp://} ;;
  esac
  echo "$2" | socat -t 2 -T 2 - "$address"
}

haproxy_pid() { ask_haproxy "$1" "show info" | sed -n 's/^Pid: //p'; }

haproxy_answers() {
  [[ -n $(haproxy_pid "$1") ]] && curl --silent --max-time 2 "$(haproxy_url "$1")/haproxy-ready"
}

haproxy_replaced() {
  local now
  now=$(haproxy_pid "$1")
  [[ -n $now && $now != "$2" ]]
}

haproxy_config() {
  local i=$1 bind='' name
  [[ $reach == network ]] || bind=$lab_address
  cat <<CFG
# Made by tests/lab.
global
  log $lab_address:$log_port len 2048 format rfc3164 local0 info
  log-tag lb-$i
  maxconn 4000
  # An old worker that still has connections after a reload goes on with the old weights: not for ever.
  hard-stop-after 30s
  stats timeout 30s
  stats socket $LAB_DIR/haproxy-$i/admin.sock mode 600 level admin expose-fd listeners
  stats socket ipv4@$bind:$((9990 + i)) level admin

defaults
  mode http
  log global
  option dontlognull
  log-format "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout queue 5s
  timeout check 2s
  timeout http-request 10s
  timeout http-keep-alive 30s
  balance roundrobin
  http-reuse safe
  # A connection that fails is tried again, on another server from the first time on. A request that was sent is
  # not sent again (retry-on empty-response): the server may have executed it, and a task that drops requests
  # when it stops is just what the tests must be able to see.
  retries 3
  option redispatch 1
  retry-on conn-failure
  option httpchk
  http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host health.lab

frontend web
  bind $bind:$((8080 + i))
  # 200 while news-web has a server in service, else 503; never logged.
  monitor-uri /haproxy-ready
  monitor fail if { nbsrv(news-web) lt 1 }
  use_backend %[req.hdr(host),lower,field(1,.)] if { req.hdr(host),lower,field(1,:) -m end .lab }
  default_backend news-web

backend news-web
CFG
  for name in web-{1..50}; do
    printf 'backend %s\n' "$name"
  done
}
