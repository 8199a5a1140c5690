#!/bin/sh
# A role and a schema for each service, in the database that is there already. Run once, by Postgres's own image, on an
# empty volume. A role can neither see nor change another's tables: the schemas are its owner's, and nothing is granted.
set -eu

psql --set=ON_ERROR_STOP=1 --no-psqlrc --quiet --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
    --set=database="$POSTGRES_DB" --set=password="$DATABASE_PASSWORD" <<'SQL'
revoke create on schema public from public;

create role steelyard_orders login password :'password';
create role steelyard_catalog login password :'password';
create role steelyard_documents login password :'password';

create schema orders authorization steelyard_orders;
create schema catalog authorization steelyard_catalog;
-- The catalog looks for it there, and its role may not make it.
create extension pg_trgm schema catalog;
create schema documents authorization steelyard_documents;

alter role steelyard_orders in database :"database" set search_path = orders;
alter role steelyard_catalog in database :"database" set search_path = catalog;
alter role steelyard_documents in database :"database" set search_path = documents;
SQL
