# shellcheck shell=bash
# The Swarm's nodes and the cables between them. Sourced by tests/lab.

# The host's end of its cable to the switch.
host_link=rlab-$lab_id

node_names() {
  local k
  for ((k = 1; k <= nodes; k++)); do echo "node-$k"; done
}

node_socket() { echo "$LAB_DIR/node-${1#node-}/docker.sock"; }

node_address() { echo "$lab_subnet.$((10 + ${1#node-}))"; }

# on NODE COMMAND...: asks a node's engine.
on() {
  local node=$1
  shift
  docker -H "unix://$(node_socket "$node")" "$@"
}

# The switch is a bridge in a network namespace of its own, which a sleeping process keeps alive. On the host a
# bridge would be subject to the host's firewall, which other engines may have told to drop what it forwards.
ensure_switch() {
  process_id switch >/dev/null && return
  ! ip -o address show to "$lab_address" | grep -q . ||
    fail "$lab_address is in use on this machine, perhaps by another lab: choose another LAB_DIR"
  say "laying cables, $lab_subnet.0/24"
  launch switch unshare --net sleep infinity
  local pid
  pid=$(process_id switch)
  wait_for 5 "the switch's namespace" "$LAB_DIR/log/switch.log" own_network "$pid"
  in_switch ip link add bridge type bridge
  in_switch ip link set bridge up
  ip link add "$host_link" type veth peer name host netns "$pid"
  ip address add "$lab_address/24" dev "$host_link"
  ip link set "$host_link" up
  plug_in host
}

# Whether a process is in a network namespace other than ours yet.
own_network() {
  local its
  its=$(readlink "/proc/$1/ns/net") && [[ $its != "$(readlink /proc/self/ns/net)" ]]
}

in_switch() { nsenter --net --target "$(process_id switch)" -- "$@"; }

# plug_in PORT: connects a cable's end that is in the switch's namespace.
plug_in() {
  in_switch ip link set "$1" master bridge
  in_switch ip link set "$1" up
}

stop_switch() {
  stop_process switch KILL
  # The kernel removes the cable together with the namespace, but in its own time.
  ip link delete "$host_link" 2>/dev/null || true
}

ensure_nodes() {
  local node
  for node in $(node_names); do
    process_id "$node" >/dev/null || boot_node "$node"
  done
  for node in $(node_names); do
    wait_for 60 "the engine of $node" "$LAB_DIR/log/$node.log" on "$node" version
  done
}

# Starts a node: its namespaces, then its cable, and node-init within them waits for the cable before it starts the
# engine. With --kill-child, and since a process namespace ends with its first process, nothing of a node can
# survive it.
boot_node() {
  local node=$1 dir=$LAB_DIR/$1
  say "starting $node, $(node_address "$node")"
  mkdir -p "$dir"
  daemon_config "$node" >"$dir/daemon.json"
  launch "$node" unshare --net --mount --uts --pid --fork --kill-child=KILL --mount-proc \
    bash "$here/lab.d/node-init" "$node" "$LAB_DIR" "${LAB_DOCKERD_BIN:-dockerd}"
  wait_for 5 "the namespaces of $node" "$LAB_DIR/log/$node.log" node_init "$node"

  local pid
  pid=$(node_init "$node")
  # The cable of an earlier boot may still be there: the kernel removes it in its own time.
  in_switch ip link delete "$node" 2>/dev/null || true
  in_switch ip link add "$node" type veth peer name eth0 netns "$pid"
  plug_in "$node"
  nsenter --net --target "$pid" -- ip address add "$(node_address "$node")/24" dev eth0
  nsenter --net --target "$pid" -- ip link set eth0 up
}

# node_init NODE: prints the id, as the host sees it, of the node's first process: unshare's only child.
node_init() {
  local unshare children
  unshare=$(process_id "$1") || return 1
  children=$(<"/proc/$unshare/task/$unshare/children")
  own_network "${children%% *}" && echo "${children%% *}"
}

# cgroupfs and a parent of its own keep the node's containers apart from those of the host's init system. Without
# the key's path, engines before 23 write a key to /etc/docker.
daemon_config() {
  local node=$1
  jq -n --arg dir "$LAB_DIR/$node" --arg cgroup "$lab_cgroup/$node" '{
    hosts: ["unix://\($dir)/docker.sock"],
    containerd: "/run/containerd/containerd.sock",
    "data-root": "\($dir)/docker",
    "exec-opts": ["native.cgroupdriver=cgroupfs"],
    "cgroup-parent": $cgroup,
    "deprecated-key-path": "\($dir)/key.json",
    "log-opts": {"max-size": "1m", "max-file": "1"}
  }'
}

# A node is ended as by a power cut: its first process is killed, and the kernel does the rest before unshare,
# which waits for it, ends.
stop_node() {
  local pid
  if pid=$(node_init "$1" 2>/dev/null); then
    kill -s KILL "$pid"
    await_end "$1" 30 || fail "$1 does not end"
  fi
  stop_process "$1" KILL
}

kill_node() {
  say "cutting the power of $1"
  stop_node "$1"
}

start_node() {
  ! process_id "$1" >/dev/null || fail "$1 is running"
  boot_node "$1"
  wait_for 60 "the engine of $1" "$LAB_DIR/log/$1.log" on "$1" version
  wait_for 60 "$1 in the Swarm" "$LAB_DIR/log/$1.log" in_swarm "$1"
  ensure_haproxies
}

in_swarm() { [[ $(on "$1" info --format '{{.Swarm.LocalNodeState}}') == active ]]; }

# Three managers if there are as many nodes: two would need each other, and be less reliable than one.
ensure_swarm() {
  local node role token
  if ! in_swarm node-1; then
    say "starting the Swarm"
    on node-1 swarm init --advertise-addr "$(node_address 1)" >/dev/null
  fi
  for node in $(node_names); do
    in_swarm "$node" && continue
    role=worker
    ((nodes < 3 || ${node#node-} > 3)) || role=manager
    say "$node joins as a $role"
    token=$(on node-1 swarm join-token --quiet "$role")
    on "$node" swarm join --advertise-addr "$(node_address "$node")" --token "$token" "$(node_address 1):2377" >/dev/null
  done
  wait_for 60 "all nodes ready" "$LAB_DIR/log/node-1.log" nodes_ready
  # Large enough for the old and new revisions of many services at once.
  on node-1 network inspect "$LAB_NETWORK" >/dev/null 2>&1 ||
    on node-1 network create --driver overlay --attachable --subnet 10.118.0.0/20 "$LAB_NETWORK" >/dev/null
}

nodes_ready() { [[ $(on node-1 node ls --format '{{.Status}}' | grep -cx Ready) == "$nodes" ]]; }

# Empty control groups outlive the containers they were made for. Innermost first.
remove_cgroups() {
  find /sys/fs/cgroup -depth -type d -path "*$lab_cgroup*" -exec rmdir {} + 2>/dev/null || true
}
