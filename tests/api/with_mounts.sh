#!/usr/bin/env bash
# with_mounts.sh <program> [arguments]: runs the program where it may mount file systems, which go
# away with it. Exit code 77, "skipped", where there is no such place.
set -u

for way in "unshare --mount" "unshare --map-root-user --mount"; do
  # Being root is not enough, in a container: so what the program will do is tried.
  if $way sh -c 'mount -t tmpfs -o size=64k tmpfs /tmp' >/dev/null 2>&1; then
    $way "$@"
    code=$?
    # As many failures as this are failures.
    exit $((code == 77 ? 1 : code))
  fi
done
echo "skipped: neither this user nor a user namespace may mount a tmpfs here"
exit 77
