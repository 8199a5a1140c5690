#!/bin/sh
# The whole file system of an image: one binary, the shared objects that it is linked to, root certificates, and who the
# user is. No shell, no package manager, nothing to patch but libc.
#
#   rootfs.sh BINARY DIRECTORY
set -eu

binary=$1
root=$2
name=$(basename "$binary")

mkdir -p "$root/usr/local/bin" "$root/etc/ssl/certs"
install -m 0755 "$binary" "$root/usr/local/bin/$name"

# `ldd` names each object's path, and the loader's at the place where the kernel looks for it.
ldd "$binary" | sed -n -e 's/.*=> \(\/[^ ]*\).*/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\).*/\1/p' | while read -r object; do
    mkdir -p "$root$(dirname "$object")"
    cp -L "$object" "$root$object"
done

# TLS to AWS, to Postgres and to the issuer of tokens.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
# libc looks names up in the hosts file first, then asks DNS, as everywhere else.
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
printf 'nonroot:x:65532:65532:nonroot:/:/nologin\n' >"$root/etc/passwd"
printf 'nonroot:x:65532:\n' >"$root/etc/group"
