#!/bin/sh
# Runs once, when the postgres container creates its data: the server's role and the principals' role.
#
# The sync server needs no superuser. It owns its database, may take the principals' role to execute
# actions under row-level security, and may set session_replication_role to apply undo images without
# firing triggers. In a managed Postgres run the same statements as its administrator.
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set database="$POSTGRES_DB" \
  --set server_password="$SYNCHROTRON_DB_PASSWORD" \
  --set principal="${SYNCHROTRON_ROLE:-synchrotron_user}" <<'SQL'
CREATE ROLE synchrotron_server LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'server_password';
CREATE ROLE :"principal" NOLOGIN NOSUPERUSER NOBYPASSRLS;
GRANT :"principal" TO synchrotron_server;
GRANT SET ON PARAMETER session_replication_role TO synchrotron_server;
ALTER DATABASE :"database" OWNER TO synchrotron_server;
ALTER SCHEMA public OWNER TO synchrotron_server;
GRANT USAGE ON SCHEMA public TO :"principal";
SQL

# Electric reads one table, which the server grants to it when it starts with ELECTRIC_URL.
if [ -n "${ELECTRIC_DB_PASSWORD:-}" ]; then
  psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set password="$ELECTRIC_DB_PASSWORD" <<'SQL'
CREATE ROLE synchrotron_electric LOGIN REPLICATION NOSUPERUSER NOBYPASSRLS PASSWORD :'password';
SQL
fi
