#!/bin/sh
# Brings the databases to head, then becomes the command: gunicorn.
set -eu

# A shell passes no signal on by itself, and `docker stop` must reach the upgrade: it
# ends its batch then, lets the locks go, and leaves a journal to carry on from.
flask db-migrate upgrade --wait 60 --yes &
upgrade=$!
stopped=
trap 'stopped=yes; kill -TERM "$upgrade" 2>/dev/null || :' TERM INT
status=0
wait "$upgrade" || status=$?
while kill -0 "$upgrade" 2>/dev/null; do # a signal ended `wait`, and not the upgrade
    status=0
    wait "$upgrade" || status=$?
done
trap - TERM INT
[ "$status" -eq 0 ] || exit "$status"
# The signal came too late to leave anything undone; but the container is to stop.
[ -z "$stopped" ] || exit 143

exec "$@"
