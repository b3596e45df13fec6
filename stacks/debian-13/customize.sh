#!/bin/sh
# Called by mmdebstrap with the new root when all packages of run.txt are in it: what the packages do not give.
set -eu
root=$1

# Heroku's images have this locale, and LANG is set to it.
echo 'en_US.UTF-8 UTF-8' >"$root/etc/locale.gen"
chroot "$root" locale-gen

# Whom dynos and builds run as.
chroot "$root" useradd --uid 1000 --user-group --home-dir /app --no-create-home --shell /bin/bash app
mkdir -p "$root/app" "$root/cache" "$root/.slipway" "$root/etc/heroku"
chown 1000:1000 "$root/app" "$root/cache"

# Keys made while installing would be the same on every machine that shares this image.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"

# Nothing in a dyno may gain rights.
find "$root" -xdev -perm /6000 -type f -exec chmod ug-s {} +
rm -rf "$root"/var/log/* "$root"/var/cache/debconf/*-old "$root"/var/cache/fontconfig/*
