#!/usr/bin/env bash
# Stands for a migration: says what it does, takes RELEASE_SECONDS, and fails if FAIL_RELEASE is set.
set -euo pipefail
echo "Migrating for ${HEROKU_RELEASE_VERSION:-this release}"
sleep "${RELEASE_SECONDS:-0}"
if [ -n "${FAIL_RELEASE:-}" ]; then
  echo "Migration failed: $FAIL_RELEASE" >&2
  exit 1
fi
echo "Migrated"
