#!/bin/sh
# Called in mount and pid namespaces of its own: install-build.sh ROOT DOWNLOADS OVERLAY PACKAGE...
# Mounts an overlay with the options OVERLAY over the run image at ROOT and adds the packages of build.txt to it; its
# upper layer becomes the build delta. What the
# installation itself needs is mounted over, so that it leaves nothing behind in that layer.
set -eu
root=$1
downloads=$2
overlay=$3
shift 3

mount -t overlay -o "$overlay" overlay "$root"

mkdir -p "$downloads/lists/partial" "$downloads/archives/partial"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount --bind /etc/hosts "$root/etc/hosts"
mount --bind "$downloads/lists" "$root/var/lib/apt/lists"
mount --bind "$downloads/archives" "$root/var/cache/apt/archives"

printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
chroot "$root" apt-get update
chroot "$root" apt-get install --yes --no-install-recommends -o APT::Sandbox::User=root "$@"
rm -f "$root/usr/sbin/policy-rc.d" "$root"/var/cache/apt/*.bin "$root"/var/log/apt/* "$root"/var/log/dpkg.log "$root"/var/log/alternatives.log
find "$root" -xdev -perm /6000 -type f -exec chmod ug-s {} +
