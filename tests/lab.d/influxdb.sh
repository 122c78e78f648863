# shellcheck shell=bash
# The database. Sourced by tests/lab.

influxdb_url() { echo "http://$lab_address:8086"; }

influxdb_answers() { curl --silent --fail --max-time 2 "$(influxdb_url)/ping"; }

ensure_influxdb() {
  process_id influxdb >/dev/null && return
  say "starting InfluxDB, $(influxdb_url)"
  mkdir -p "$LAB_DIR/influxdb"
  influxdb_config >"$LAB_DIR/influxdb/influxdb.conf"
  launch influxdb "${LAB_INFLUXD_BIN:-influxd}" -config "$LAB_DIR/influxdb/influxdb.conf"
  wait_for 30 "InfluxDB" "$LAB_DIR/log/influxdb.log" influxdb_answers
  # Does nothing when the database is there. One shard a day, dropped after a week: the lab is for today.
  curl --silent --show-error --fail --max-time 10 --output /dev/null "$(influxdb_url)/query" --data-urlencode \
    'q=CREATE DATABASE rollouts WITH DURATION 7d REPLICATION 1 SHARD DURATION 1d NAME lab' ||
    fail "InfluxDB does not create its database; see $LAB_DIR/log/influxdb.log"
}

# Points can be read as soon as their write is acknowledged; what the database says about itself is left out.
influxdb_config() {
  cat <<TOML
reporting-disabled = true
bind-address = "$lab_address:8088"
[meta]
  dir = "$LAB_DIR/influxdb/meta"
[data]
  dir = "$LAB_DIR/influxdb/data"
  wal-dir = "$LAB_DIR/influxdb/wal"
  wal-fsync-delay = "0s"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "$lab_address:8086"
  log-enabled = false
  flux-enabled = true
TOML
}
