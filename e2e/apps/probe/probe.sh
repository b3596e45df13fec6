#!/usr/bin/env bash
# Looks around inside a dyno or a build, and says what it finds, a line each: NAME=VALUE.
# usage: probe.sh "HOST PORT" …: addresses that must not answer
status() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
says() { if "${@:2}" >/dev/null 2>&1; then echo "$1=yes"; else echo "$1=no"; fi; }
connects() { timeout 1 bash -c 'exec 3<>"/dev/tcp/$1/$2"' probe "$1" "$2"; }

echo "uid=$(id -u)"
for set in CapInh CapPrm CapEff CapBnd CapAmb; do echo "$set=$(status $set)"; done
echo "NoNewPrivs=$(status NoNewPrivs)"
echo "Seccomp=$(status Seccomp)"
says new_user_namespace unshare --user true
says new_mount_namespace unshare --mount true
says mounts mount -t tmpfs none /tmp
says writes_usr touch /usr/written
says writes_etc touch /etc/written
says reads_shadow cat /etc/shadow
says reads_kernel_memory cat /proc/kcore
says writes_sysctl bash -c 'echo 1 >/proc/sys/kernel/panic'
echo "processes=$(cat /proc/[0-9]*/comm 2>/dev/null | tr ' ' '_' | sort -u | tr '\n' ' ')"
echo "sockets=$(find / -xdev -type s 2>/dev/null | tr '\n' ' ')"
echo "block_devices=$(find /dev -type b 2>/dev/null | tr '\n' ' ')"
echo "environ_secrets=$(tr '\0' '\n' </proc/1/environ 2>/dev/null | grep -ciE 'slipway|secret' || true)"
gateway=$(ip route show default 2>/dev/null | sed -n 's/^default via \([0-9.]*\).*/\1/p')
for target in "169.254.169.254 80" "127.0.0.1 5080" "${gateway:-169.254.77.1} ${HOST_PORT:-22}" "$@"; do
  set -- $target
  # Beside each other: each that is dropped takes a second, and the answer must come in 30.
  says "reaches_$1:$2" connects "$1" "$2" &
done
wait
