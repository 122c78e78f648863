# shellcheck shell=bash
# The demo app and the images made of it. Sourced by tests/lab.

demo_app=${CARGO_TARGET_DIR:-$repo/target}/lab/release/demo-app

# The app is an example of the crate, but cargo would build all that the crate depends on before it. A package made
# for the moment, with the same lock file, builds the same source in seconds. Linked statically, since its images
# hold nothing else.
build_demo_app() {
  local package=$LAB_DIR/demo-app
  mkdir -p "$package"
  cp "$repo/Cargo.lock" "$package/Cargo.lock"
  {
    printf '[package]\nname = "demo-app"\nversion = "0.0.0"\nedition = "2024"\n'
    printf '[[bin]]\nname = "demo-app"\npath = "%s/examples/demo-app.rs"\n[dependencies]\n' "$repo"
    grep '^signal-hook = ' "$repo/Cargo.toml"
  } >"$package/Cargo.toml"
  RUSTFLAGS='-C target-feature=+crt-static' cargo build --quiet --release \
    --manifest-path "$package/Cargo.toml" --target-dir "${CARGO_TARGET_DIR:-$repo/target}/lab" 9>&- ||
    fail "the demo app does not build"
}

# No registry is needed: every node imports the images for itself. The label tells whether an image is of this build.
ensure_images() {
  local node version build
  build=$(sha256sum "$demo_app" | cut -c1-16)
  for node in $(node_names); do
    [[ $(on "$node" image inspect --format '{{.Config.Labels.build}}' demo-app:broken 2>/dev/null) != "$build" ]] || continue
    say "loading the demo app's images on $node"
    for version in v1 v2 v3; do
      import_demo_app "$node" "$version" '["/demo-app"]'
    done
    # Last, as its label vouches for all. Its program does not exist, so that its tasks cannot start.
    import_demo_app "$node" broken '["/missing"]'
  done
}

import_demo_app() {
  local node=$1 version=$2 entrypoint=$3
  tar --create --directory "$(dirname "$demo_app")" demo-app |
    on "$node" import --change "ENTRYPOINT $entrypoint" --change "ENV VERSION=$version" --change "EXPOSE 8080" \
      --change "LABEL build=$build" - "demo-app:$version" >/dev/null
}
