# shellcheck shell=bash
# What must be installed. Sourced by tests/lab.

# Installs the Debian packages whose programs are missing.
install_packages() {
  local missing=()
  want dockerd docker.io "${LAB_DOCKERD_BIN:-}"
  want containerd containerd
  want docker docker.io
  want haproxy haproxy "${LAB_HAPROXY_BIN:-}"
  want influxd influxdb "${LAB_INFLUXD_BIN:-}"
  want iptables iptables
  want ip iproute2
  want jq jq
  want curl curl
  want socat socat
  want git git
  ((${#missing[@]})) || return 0

  command -v apt-get >/dev/null || fail "please install ${missing[*]}: only Debian's apt-get is known here"
  say "installing ${missing[*]}"
  forbid_daemons
  # An index that is there but old fails as well; so it is fetched anew only when the first try does not do.
  apt_get install || { apt_get update && apt_get install; } || fail "see $LAB_DIR/log/apt.log"
  allow_daemons
}

# want PROGRAM PACKAGE [CHOSEN]: notes the package as missing, unless the program is there or another was chosen.
want() {
  if [[ -n ${3:-} ]]; then
    [[ -x $3 ]] || fail "no program $3"
  elif ! command -v "$1" >/dev/null; then
    [[ " ${missing[*]} " == *" $2 "* ]] || missing+=("$2")
  fi
}

apt_get() {
  local arguments=("$@")
  [[ $1 != install ]] || arguments+=(--yes --no-install-recommends "${missing[@]}")
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "${arguments[@]}" \
    >>"$LAB_DIR/log/apt.log" 2>&1 9>&-
}

# The packages would start daemons of their own on the host. policy-rc.d is where Debian lets one say no; one that
# is there already is put back afterwards, also when the installation fails.
forbid_daemons() {
  policy=/usr/sbin/policy-rc.d
  [[ ! -e $policy ]] || mv "$policy" "$policy.lab-saved"
  trap allow_daemons EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

allow_daemons() {
  rm -f "$policy"
  [[ ! -e $policy.lab-saved ]] || mv "$policy.lab-saved" "$policy"
  trap - EXIT
}
