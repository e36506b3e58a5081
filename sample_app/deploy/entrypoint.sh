#!/bin/sh
# Brings the databases to head, then becomes the command: gunicorn.
set -eu

# A shell passes no signal on by itself, and `docker stop` must reach the upgrade: it
# ends its batch then, lets the locks go, and leaves a journal to carry on from.
flask db-migrate upgrade --wait 60 --yes &
upgrade=$!
trap 'kill -TERM "$upgrade" 2>/dev/null' TERM INT
status=0
wait "$upgrade" || status=$?
while kill -0 "$upgrade" 2>/dev/null; do # a signal ended `wait`, and not the upgrade
    status=0
    wait "$upgrade" || status=$?
done
trap - TERM INT
[ "$status" -eq 0 ] || exit "$status"

exec "$@"
