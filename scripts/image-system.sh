#!/bin/sh
# Makes the final image's system in a folder: Debian's C and C++ library, the authorities of
# certificates, the user, and a configuration that listens outside the container. It runs in a stage
# of the Dockerfile, as root on Debian.
#
#   image-system.sh FOLDER
set -eu
root=$1
packages="base-files libc6 libgcc-s1 libstdc++6"

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install --yes --no-install-recommends ca-certificates
work=$(mktemp -d)
cd "$work"
# shellcheck disable=SC2086  # the package list is meant to split
apt-get download $packages

# Where scanners look for a distribution without a package manager.
mkdir -p "$root/var/lib/dpkg/status.d"
for package in *.deb; do
    dpkg-deb --extract "$package" "$root"
    dpkg-deb --field "$package" >"$root/var/lib/dpkg/status.d/${package%%_*}"
done
find "$root/usr/share/doc" -type f ! -name copyright -delete
rm -rf "$root/usr/share/lintian" "$root/usr/share/info" "$root/usr/share/man" \
    "$root/usr/share/gcc" "$root/usr/share/gdb" "$root/usr/lib/x86_64-linux-gnu/gconv"
# Places that everyone may write; the one that is needed comes below.
find "$root" -depth -type d -perm /o+w -empty -delete
cd /
rm -rf "$work"

mkdir -p "$root/etc/ssl/certs" "$root/usr/share/doc/ca-certificates"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp /usr/share/doc/ca-certificates/copyright "$root/usr/share/doc/ca-certificates/"
cp /var/lib/dpkg/info/ca-certificates.md5sums "$root/var/lib/dpkg/status.d/"
dpkg-query --status ca-certificates >"$root/var/lib/dpkg/status.d/ca-certificates"

printf '%s\n' 'root:x:0:0:root:/root:/sbin/nologin' \
    'veriframe:x:65532:65532:veriframe:/var/lib/veriframe:/sbin/nologin' >"$root/etc/passwd"
printf '%s\n' 'root:x:0:' 'veriframe:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

mkdir -p "$root/etc/veriframe"
cat >"$root/etc/veriframe/veriframe.toml" <<'END'
# The image's configuration. Mount a file of your own over it, or set variables, which go before it:
# VERIFRAME_SERVER_LISTEN. `veriframe config print --defaults` has every key.
[server]
listen = "0.0.0.0:50051"

[evidence]
data_dir = "/var/lib/veriframe/evidence"

[telemetry]
metrics_listen = "0.0.0.0:9464"
END

install -d -m 1777 "$root/tmp"
install -d -m 0750 -o 65532 -g 65532 "$root/var/lib/veriframe"
